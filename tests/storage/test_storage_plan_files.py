"""The plan as files: it grows, is split and compacted, and what is damaged is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import StorageError
from batchfim.planning.cutting import cut_shards, halve
from batchfim.shards import InputFile
from batchfim.storage.location import Location
from batchfim.storage.plan_files import PlanFiles

FILE = InputFile("/data/a.parquet", "aa", 120, 10.0)
SHARDS = cut_shards([FILE], 10, "job")
ONE, TWO, THREE = SHARDS[:3]


@pytest.fixture
def plan(tmp_path: Path) -> PlanFiles:
    return PlanFiles(Location.of(str(tmp_path)))


def test_halves_stand_in_the_place_of_their_whole(plan: PlanFiles) -> None:
    assert plan.row_counts().num_rows == 0
    plan.add(SHARDS[:3])
    assert plan.row_counts()["id"].to_pylist() == [ONE.id, TWO.id, THREE.id]
    halves = halve(TWO, "job")
    plan.split(TWO, halves)
    assert plan.read() == [ONE, *halves, THREE]
    plan.split(TWO, halves)  # again, as after an answer that was lost
    quarters = halve(halves[1], "job")
    plan.split(halves[1], quarters)
    assert plan.read() == [ONE, halves[0], *quarters, THREE]
    assert plan.row_counts().to_pylist() == [
        {"id": shard.id, "file": shard.file, "num_rows": shard.num_rows} for shard in plan.read()
    ]


def test_folders_above_may_be_called_like_a_split_or_a_whole_plan(tmp_path: Path) -> None:
    folder = Location.of(str(tmp_path / "split-0" / "x-all.parquet"))
    folder.make_folder()
    plan = PlanFiles(folder)
    plan.add(SHARDS[:3])
    halves = halve(TWO, "job")
    plan.split(TWO, halves)
    assert plan.read() == [ONE, *halves, THREE]
    assert list(plan.files()[0]) == [ONE.file]


def test_many_files_become_one_that_plans_the_same(plan: PlanFiles, tmp_path: Path) -> None:
    for shard in SHARDS:
        plan.add([shard])
    plan.split(TWO, halve(TWO, "job"))
    planned = plan.read()
    plan.compact()
    assert [path.name for path in tmp_path.iterdir()] == ["000012-all.parquet"]
    assert plan.read() == planned
    plan.split(THREE, halve(THREE, "job"))
    (more,) = cut_shards([replace(FILE, path="/b", num_rows=5)], 10, "job")
    plan.add([more])
    assert plan.read() == [*planned[:3], *halve(THREE, "job"), *planned[4:], more]


def test_a_kill_in_the_middle_of_compacting_plans_nothing_twice(
    plan: PlanFiles, tmp_path: Path
) -> None:
    for shard in SHARDS:
        plan.add([shard])
    plan.split(TWO, halve(TWO, "job"))
    planned = plan.read()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    plan.compact()
    for name, content in before.items():  # none of the deletes has happened
        (tmp_path / name).write_bytes(content)
    assert plan.read() == planned
    plan.compact()
    assert (plan.read(), len(list(tmp_path.iterdir()))) == (planned, 1)


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff garbage")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _another_table(path: Path) -> None:
    pq.write_table(pa.table({"id": ["x"]}), path)


def _no_rows(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(5, "num_rows", pa.array([0] * len(table))), path)


def _an_id_that_leaves_the_folder(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "id", pa.array(["../../../x"] * len(table))), path)


@pytest.mark.parametrize(
    "damage",
    [_nothing, _garbage, _cut_short, _another_table, _no_rows, _an_id_that_leaves_the_folder],
)
@pytest.mark.parametrize("name", ["000000.parquet", f"split-{TWO.id}.parquet"])
def test_a_damaged_file_is_named(
    plan: PlanFiles, tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    plan.add(SHARDS)
    plan.split(TWO, halve(TWO, "job"))
    damage(tmp_path / name)
    with pytest.raises(StorageError, match=rf"{name}: not a plan of this version .*; restore"):
        plan.read()


def test_halves_of_other_rows_are_refused(plan: PlanFiles, tmp_path: Path) -> None:
    plan.add(SHARDS)
    plan.split(TWO, halve(THREE, "job"))
    with pytest.raises(StorageError, match=rf"split-{TWO.id}\.parquet: not two halves"):
        plan.read()


def test_a_copied_plan_file_is_refused(plan: PlanFiles, tmp_path: Path) -> None:
    plan.add(SHARDS)
    (tmp_path / "000007.parquet").write_bytes((tmp_path / "000000.parquet").read_bytes())
    with pytest.raises(StorageError, match=r"planned twice.*remove the copy"):
        plan.read()


def test_a_plan_that_cannot_be_written_as_one_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PlanFiles(Location.of(str(tmp_path)))
    for shard in SHARDS:
        plan.add([shard])

    def fail(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Location, "write", fail)
        with pytest.raises(StorageError):
            plan.compact()
    assert plan.read() == SHARDS


def test_a_kill_while_a_plan_is_compacted_again_plans_nothing_twice(tmp_path: Path) -> None:
    plan, before = PlanFiles(Location.of(str(tmp_path))), {}
    for start in (0, 10):
        for row in range(start, start + 10):
            plan.add(cut_shards([replace(FILE, path=f"/{row}")], 120, "job"))
        planned, before = plan.read(), {p: p.read_bytes() for p in tmp_path.iterdir()}
        plan.compact()
    for path, content in before.items():
        path.write_bytes(content)
    assert plan.read() == planned
    assert len(planned) == 20
