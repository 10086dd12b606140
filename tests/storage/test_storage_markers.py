"""Markers in segments say what they said apart, whatever was killed in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import StorageError
from batchfim.metrics.shard_report import Counts, ShardReport
from batchfim.metrics.shard_table import shard_table
from batchfim.metrics.totals import Totals
from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile
from batchfim.storage.location import Location
from batchfim.storage.markers import KEPT_APART, SEGMENT_SHARDS, Markers, _Found
from tests.storage.made_jobs import report

SHARDS = cut_shards([InputFile("/data/a.parquet", "aa", 60, 10.0)], 10, "job")
REPORTS = [report(shard) for shard in SHARDS]
FIRST, LAST = REPORTS[0], REPORTS[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def markers(folder: Path) -> Markers:
    return Markers(Location.of(str(folder)))


def add(markers: Markers, reports: list[ShardReport] = REPORTS) -> None:
    for each in reports:
        markers.add(each)


def check(markers: Markers, reports: list[ShardReport] = REPORTS) -> None:
    """All ways to read the markers agree that exactly these shards are done."""
    done = markers.done()
    assert sorted(done.ids.to_pylist()) == sorted(each.shard_id for each in reports)
    assert markers.ids() == {each.shard_id for each in reports}
    assert done.totals.counts == Counts.sum(each.counts for each in reports)
    assert done.totals.timings == Totals.sum(map(Totals.of, reports)).timings
    told = shard_table([each.model_dump_json() for each in reports])
    assert markers.shards().sort_by("shard_id").equals(told.sort_by("shard_id"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def again(failed: ShardReport) -> ShardReport:
    """A later report of a shard: one row less is ok."""
    rows = failed.counts.rows
    return failed.model_copy(
        update={"attempt": 2, "counts": Counts(rows=rows, ok=rows - 1, failed=1)}
    )


def test_compacted_markers_say_the_same_in_one_file(markers: Markers, folder: Path) -> None:
    check(markers, [])
    add(markers)
    check(markers)
    markers.compact()
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]
    check(markers)
    before = files(folder)
    markers.compact()
    assert files(folder) == before  # nothing new, nothing written


@pytest.mark.parametrize("deleted", range(len(REPORTS) + 1))
def test_a_kill_between_segment_and_deletes_counts_no_shard_twice(
    markers: Markers, folder: Path, deleted: int
) -> None:
    add(markers)
    before = files(folder)
    markers.compact()
    for name in sorted(before)[deleted:]:
        (folder / name).write_bytes(before[name])
    check(markers)
    markers.compact()
    check(markers)
    assert len(files(folder)) == 1


def test_small_segments_become_one(markers: Markers, folder: Path) -> None:
    for each in REPORTS:
        markers.add(each)
        markers.compact()
    assert len(files(folder)) == 1
    check(markers)


def test_a_kill_while_segments_are_merged_counts_no_shard_twice(
    markers: Markers, folder: Path
) -> None:
    add(markers, REPORTS[:3])
    markers.compact()
    add(markers, REPORTS[3:])
    before = files(folder)
    markers.compact()
    for name, content in before.items():
        (folder / name).write_bytes(content)
    check(markers)
    markers.compact()
    check(markers)
    assert len(files(folder)) == 1


def test_a_marker_is_newer_than_a_segment(markers: Markers) -> None:
    add(markers)
    markers.compact()
    newer = again(REPORTS[2])
    markers.add(newer)
    expected = [*REPORTS[:2], newer, *REPORTS[3:]]
    check(markers, expected)
    markers.compact()
    check(markers, expected)


def test_a_later_segment_is_newer_than_an_earlier_one(markers: Markers, folder: Path) -> None:
    add(markers)
    markers.compact()
    (old,) = files(folder).items()
    newer = again(REPORTS[2])
    markers.add(newer)
    markers.compact()
    (folder / old[0]).write_bytes(old[1])  # killed before the old segment was deleted
    check(markers, [*REPORTS[:2], newer, *REPORTS[3:]])


def test_a_forgotten_shard_leaves_its_segment(markers: Markers, folder: Path) -> None:
    add(markers)
    markers.compact()
    markers.forget({FIRST.shard_id})
    check(markers, REPORTS[1:])
    markers.add(FIRST)
    check(markers)
    markers.forget([each.shard_id for each in REPORTS])
    check(markers, [])
    assert files(folder) == {}


def test_a_long_run_takes_its_markers_into_segments_while_threads_commit(
    markers: Markers, folder: Path
) -> None:
    num_shards = SEGMENT_SHARDS + KEPT_APART + 40
    file = InputFile("/data/b.parquet", "bb", num_shards, 10.0)
    reports = [report(shard) for shard in cut_shards([file], 1, "job")]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(markers.add, reports))
    assert len(list(folder.glob("*.parquet"))) == 1
    assert len(list(folder.glob("*.json"))) == KEPT_APART + 40
    check(markers, reports)


def test_a_marker_that_a_killed_run_owed_is_in_no_segment_of_this_run(
    markers: Markers, folder: Path
) -> None:
    """It may be replaced or withdrawn before this run has enough markers for a segment."""
    num_shards = SEGMENT_SHARDS + KEPT_APART
    file = InputFile("/data/b.parquet", "bb", num_shards, 10.0)
    reports = [report(shard) for shard in cut_shards([file], 1, "job")]
    owed = reports[0].model_copy(update={"attempt": 7})
    markers.restore(owed)
    assert markers.ids() == {owed.shard_id}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(markers.add, reports))
    assert len(list(folder.glob("*.parquet"))) == 1
    check(markers, reports)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_void_says_that_its_shard_is_not_done(
    markers: Markers, folder: Path, content: bytes
) -> None:
    add(markers)
    (folder / f"{FIRST.shard_id}.void").write_bytes(content)
    assert markers.unfinished_replacements() == []
    markers.compact()
    check(markers, REPORTS[1:])


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff garbage")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)


def _another_table(path: Path) -> None:
    pq.write_table(pa.table({"shard_id": ["x"]}), path)


def _a_row_less(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(1), path)


@pytest.mark.parametrize(
    "damage", [_nothing, _garbage, _cut_short, _flipped, _another_table, _a_row_less]
)
def test_a_damaged_segment_is_named(
    markers: Markers, folder: Path, damage: Callable[[Path], None]
) -> None:
    add(markers)
    markers.compact()
    (segment,) = folder.iterdir()
    damage(segment)
    for read in (markers.ids, markers.done, markers.compact):
        with pytest.raises(StorageError, match=rf"{segment.name}: cannot be read as finished .*"):
            read()


def test_a_deleted_segment_is_work_to_be_done_again(markers: Markers, folder: Path) -> None:
    add(markers)
    markers.compact()
    next(folder.iterdir()).unlink()
    check(markers, [])


def test_a_marker_under_another_shards_name_is_named(markers: Markers, folder: Path) -> None:
    add(markers)
    text = (folder / f"{FIRST.shard_id}.json").read_text()
    assert json.loads(text)["shard_id"] == FIRST.shard_id
    (folder / f"{LAST.shard_id}.json").write_text(text)
    with pytest.raises(
        StorageError, match=rf"{LAST.shard_id}\.json: not a marker .*belongs to shard"
    ):
        markers.done()


@pytest.mark.parametrize("compacted", [False, True])
def test_a_void_shard_is_not_done_whatever_says_so(
    markers: Markers, folder: Path, compacted: bool
) -> None:
    add(markers)
    if compacted:
        markers.compact()
    markers.begin_replacement(FIRST)
    check(markers, REPORTS[1:])
    markers.end_replacement(FIRST.shard_id)
    check(markers, REPORTS)


def test_a_large_segment_loses_what_became_void(
    markers: Markers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfim.storage.markers._FEW_SHARDS", 2)
    add(markers)
    markers.compact()
    markers.begin_replacement(FIRST)
    markers.compact()
    check(markers, REPORTS[1:])


def test_a_new_segment_is_named_above_all_others(
    markers: Markers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfim.storage.markers._FEW_SHARDS", 1)
    for reports in (REPORTS[:3], REPORTS[3:]):
        add(markers, reports)
        markers.compact()
    markers.forget({each.shard_id for each in REPORTS[:3]})
    markers.add(again(REPORTS[3]))
    markers.compact()
    assert {name[:6] for name in files(folder)} == {"000001", "000002"}


def test_markers_that_fit_into_no_segment_stay(
    markers: Markers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the disk is full")

    for name, value in (("SEGMENT_SHARDS", 2), ("KEPT_APART", 1), ("write_segment", fail)):
        monkeypatch.setattr(f"batchfim.storage.markers.{name}", value)
    add(markers)
    check(markers)


def test_a_kill_while_a_shard_is_forgotten_brings_no_earlier_report_back(
    markers: Markers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("gone")

    add(markers)
    markers.compact()
    markers.add(newer := again(FIRST))
    with monkeypatch.context() as patched:
        patched.setattr(markers, "_forget_in_segments", fail)
        with pytest.raises(StorageError):
            markers.forget({FIRST.shard_id})
    check(markers, [newer, *REPORTS[1:]])


def test_a_look_that_saw_neither_marker_nor_segment_is_taken_again(
    markers: Markers, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(markers)
    markers.compact()
    torn, look = [_Found({}, [])], markers._look
    monkeypatch.setattr(markers, "_look", lambda: torn.pop() if torn else look())
    assert markers.done().table.num_rows == len(REPORTS)
