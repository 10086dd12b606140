"""The copy that Ray Data sorts: every row once, as it was, beside those it shares text with."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.data import DataContext

from batchfim.errors import InputError, JobFailed, StorageError
from batchfim.planning.cutting import cut_shards
from batchfim.storage.kept import kept_type
from batchfim.storage.ledger import Ledger
from tests.regroup.conftest import HOLES, NUM_FILES, SCHEMA, Desk, read, record

pytestmark = pytest.mark.usefixtures("local_ray")


def test_every_row_is_there_once_as_it_was_and_knows_its_old_place(shuffled: Desk) -> None:
    copy = read(shuffled.regroup())
    assert copy.num_rows == NUM_FILES * HOLES
    assert copy.schema.names == [*SCHEMA.names, "source_file", "source_row"]
    for name in ("a.parquet", "b.parquet"):
        path = shuffled.folder / name
        own = copy.filter(pa.compute.equal(copy["source_file"], str(path))).sort_by("source_row")
        assert own["source_row"].to_pylist() == list(range(own.num_rows))
        source = pq.read_table(path)
        assert own.select(source.schema.names).to_pylist() == source.to_pylist()
        kept = [kept_type(data_type) for data_type in source.schema.types]
        assert [own.schema.field(name).type for name in SCHEMA.names] == kept


def test_holes_of_one_file_are_neighbours_and_no_shard_splits_them(shuffled: Desk) -> None:
    copy = shuffled.regroup()
    numbers = read(copy)["number"].to_pylist()
    assert len(list(groupby(numbers))) == NUM_FILES
    shards = cut_shards(copy.files, 100, "job")
    ends = [shard.start + shard.num_rows for shard in shards]
    assert len(ends) > 4
    assert all(numbers[end - 1] != numbers[end] for end in ends[:-1])


def test_a_column_can_say_what_belongs_together(shuffled: Desk) -> None:
    languages = read(shuffled.regroup("planning.regroup=language"))["language"].to_pylist()
    assert len(list(groupby(languages))) == 3


def test_a_column_that_groups_need_not_ride_along(shuffled: Desk) -> None:
    copy = read(shuffled.regroup("planning.regroup=number", "input.keep=[id]"))
    read_too = {"prefix", "suffix", "language"}
    assert {*copy.column_names} == {"id", "source_file", "source_row"} | read_too
    files = [name.partition("-")[0] for name in copy["id"].to_pylist()]
    assert len(list(groupby(files))) == NUM_FILES


def test_rows_without_a_prefix_go_along(desk: Desk) -> None:
    rows = [record(0, 0) | {"id": str(i), "prefix": [None, "", "é" * 200][i % 3]} for i in range(9)]
    desk.write("a.parquet", rows)
    assert sorted(read(desk.regroup())["id"].to_pylist()) == [str(i) for i in range(9)]


def test_a_row_that_is_not_utf8_goes_along(desk: Desk) -> None:
    bad = pa.array([b"ok", b"\xff\xfe", b"ok too"], pa.binary()).view(pa.string())
    rows = [record(0, hole) for hole in range(3)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = table.set_column(1, "prefix", bad.cast(pa.large_string()))
    pq.write_table(table, desk.folder / "a.parquet")
    copy = read(desk.regroup())
    assert sorted(copy["id"].to_pylist()) == ["0-0", "0-1", "0-2"]
    assert b"\xff\xfe" in copy["prefix"].cast(pa.large_binary()).to_pylist()


def test_files_without_rows_are_no_copy(desk: Desk) -> None:
    desk.write("a.parquet", [])
    for _ in range(2):
        copy = desk.regroup()
        assert (copy.files, copy.kept.names[-2:]) == ([], ["source_file", "source_row"])
    desk.write("b.parquet", [record(0, hole) for hole in range(3)])
    for _ in range(2):
        assert read(desk.regroup()).num_rows == 3


def test_a_second_run_copies_nothing_and_a_new_file_alone(shuffled: Desk) -> None:
    first = shuffled.regroup()
    written = {file.path: Path(file.path).stat().st_mtime_ns for file in first.files}
    assert [f.path for f in shuffled.regroup().files] == [f.path for f in first.files]
    shuffled.write("c.parquet", [record(99, hole) for hole in range(5)])
    grown = shuffled.regroup()
    assert len(list(shuffled.copies.glob("*.json"))) == 2
    assert grown.num_rows == NUM_FILES * HOLES + 5
    assert {path: Path(path).stat().st_mtime_ns for path in written} == written


def test_what_a_killed_run_left_is_made_again(shuffled: Desk) -> None:
    copy = shuffled.regroup()
    (marker,) = shuffled.copies.glob("*.json")
    marker.unlink()
    folder = marker.with_suffix("")
    (folder / "half.parquet").write_bytes(b"PAR1")
    (folder / "half.parquet.1234.tmp").write_bytes(b"PAR1")
    assert shuffled.regroup().num_rows == copy.num_rows
    assert not list(folder.glob("half*"))


@pytest.mark.parametrize("change", ["no language", "field ids"])
def test_a_later_file_that_differs_in_what_decides_nothing_leaves_copies_alone(
    shuffled: Desk, change: str
) -> None:
    """Their shards may be done: rows sorted anew would be worked and written a second time."""
    first = shuffled.regroup("input.keep=[id]")
    ids = [field.with_metadata({"PARQUET:field_id": str(i)}) for i, field in enumerate(SCHEMA)]
    schema = SCHEMA.remove(4) if change == "no language" else pa.schema(ids)
    shuffled.write("0.parquet", [record(99, hole) for hole in range(5)], schema)
    grown = shuffled.regroup("input.keep=[id]")
    assert {file.id for file in first.files} < {file.id for file in grown.files}
    assert grown.num_rows == NUM_FILES * HOLES + 5


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_files_may_say_their_texts_in_other_types(shuffled: Desk, kind: pa.DataType) -> None:
    schema = SCHEMA.set(1, SCHEMA.field(1).with_type(kind))
    shuffled.write("c.parquet", [record(99, hole) for hole in range(5)], schema)
    copy = read(shuffled.regroup("input.keep=[id]"))
    prefixes = dict(zip(copy["id"].to_pylist(), copy["prefix"].to_pylist(), strict=True))
    assert len(prefixes) == NUM_FILES * HOLES + 5
    assert prefixes["99-3"] == record(99, 3)["prefix"]


def test_a_copy_that_lost_a_file_is_refused(shuffled: Desk) -> None:
    for file in shuffled.regroup().files[:1]:
        table = pq.read_table(file.path)
        pq.write_table(table.slice(1), file.path)
    with pytest.raises(StorageError, match=r"399 rows, but the markers say 400"):
        shuffled.regroup()


def test_a_copy_that_is_gone_is_not_sorted_anew_where_shards_are_planned_of_it(
    shuffled: Desk,
) -> None:
    """Ray Data would cut it otherwise, and all rows be worked beside the old ones."""
    planned = cut_shards(shuffled.regroup().files, 50, "job")
    shutil.rmtree(shuffled.copies)
    shuffled.regroup()  # of what is not planned, nothing is lost
    shutil.rmtree(shuffled.copies)
    Ledger.at(str(shuffled.output)).add_to_plan(planned)
    with pytest.raises(
        StorageError, match=r"regrouped: a regrouped copy that planned shards read from is missing"
    ):
        shuffled.regroup()
    assert list(shuffled.copies.glob("*")) == []


def test_a_file_that_is_gone_from_the_input_is_told_of(
    shuffled: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    assert shuffled.regroup().num_rows == 400
    (shuffled.folder / "b.parquet").unlink()
    assert shuffled.regroup().num_rows == 400
    assert "1 regrouped input files are gone, such as" in caplog.text
    assert "b.parquet; their rows are still processed" in caplog.text


def test_a_file_written_anew_that_looks_as_it_did_is_warned_of(
    shuffled: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    shuffled.regroup()
    shuffled.regroup()
    assert "were rewritten after" not in caplog.text
    later = time.time() + 60
    os.utime(shuffled.folder / "b.parquet", (later, later))
    shuffled.regroup()
    assert "b.parquet, were rewritten after they were planned" in caplog.text


def test_a_ray_without_a_cpu_is_refused_and_not_waited_for() -> None:
    script = (
        "import ray; from batchfim.regroup.ray_sort import check_can_sort; "
        "ray.init(address='local', num_cpus=0, include_dashboard=False); check_can_sort()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert (
        "no node of this Ray cluster has a CPU for them; start one with --num-cpus" in done.stderr
    )


def test_two_sorts_never_write_one_copy(shuffled: Desk) -> None:
    """One that lost its lease may still sort when the next begins."""
    with pytest.raises(JobFailed, match="lease"):
        shuffled.regroup(lost=True)
    (stale,) = (path.name for path in shuffled.copies.iterdir())
    shuffled.regroup()
    assert stale not in {path.name for path in shuffled.copies.iterdir()}


def test_ray_data_says_afterwards_what_it_said_before(shuffled: Desk) -> None:
    log, context = logging.getLogger("ray.data"), DataContext.get_current()
    before = log.level, context.enable_progress_bars
    shuffled.regroup()
    assert (log.level, context.enable_progress_bars) == before


def test_a_run_that_lost_its_lease_finishes_no_copy(shuffled: Desk) -> None:
    with pytest.raises(JobFailed, match="lease"):
        shuffled.regroup(lost=True)
    assert not list(shuffled.copies.glob("*.json"))


def test_a_file_that_cannot_be_read_is_named(shuffled: Desk) -> None:
    path = shuffled.folder / "a.parquet"
    content = bytearray(path.read_bytes())
    content[10:2000] = b"\xff" * 1990
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: rows 0 to .* cannot be read") as caught:
        shuffled.regroup()
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400
    assert not list(shuffled.copies.glob("*.json"))


def test_a_column_nobody_has_is_refused_before_anything_is_written(shuffled: Desk) -> None:
    with pytest.raises(InputError, match=r"have a column 'repo'; choose one of id, prefix"):
        shuffled.regroup("planning.regroup=repo")
    assert not shuffled.copies.exists()


def test_a_column_that_would_be_overwritten_is_refused(desk: Desk) -> None:
    schema = SCHEMA.append(pa.field("source_row", pa.int64()))
    desk.write("a.parquet", [record(0, 0)], schema)
    with pytest.raises(InputError, match=r"already has source_row; rename it, or .*input\.keep"):
        desk.regroup()


def test_files_may_have_the_columns_kept_in_other_forms(shuffled: Desk) -> None:
    types = {"id": pa.large_string(), "number": pa.int16(), "language": pa.null()}
    fields = [field.with_type(types.get(field.name, field.type)) for field in reversed(SCHEMA)]
    rows = [record(99, hole) | {"language": None} for hole in range(5)]
    shuffled.write("c.parquet", rows, pa.schema(fields))
    inputs = shuffled.regroup()
    copy = read(inputs)
    assert copy.schema.equals(inputs.kept)
    assert copy.num_rows == NUM_FILES * HOLES + 5
