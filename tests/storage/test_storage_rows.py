"""Any shard of any file reads exactly its rows, forward for free."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.errors import InputError, StorageError
from batchfim.shards import Shard
from batchfim.storage.location import Location
from batchfim.storage.rows import RowReader, _Cursor
from tests.parquet import content_of

COLUMNS = ["row", "prefix"]
SCHEMA = pa.schema([("row", pa.int64()), ("prefix", pa.string()), ("unread", pa.string())])
WIDE = 40_000  # batches of a few rows, and files too large to be read whole


def table(first: int, num_rows: int, width: int = 5) -> pa.Table:
    rows = range(first, first + num_rows)
    return pa.table(
        {
            "row": list(rows),
            "prefix": [f"{row}" * width for row in rows],
            "unread": ["x"] * num_rows,
        },
        schema=SCHEMA,
    )


def write_groups(path: Path, sizes: list[int], width: int = 5, first: int = 0) -> Path:
    with pq.ParquetWriter(path, SCHEMA, compression="none") as writer:
        for size in sizes:
            writer.write_table(table(first, size, width), row_group_size=max(size, 1))
            first += size
    return path


def shard(path: Path, start: int, num_rows: int) -> Shard:
    return Shard(f"{start}", "file", content_of(path), str(path), start, num_rows)


def rows(reader: RowReader, wanted: Shard) -> list[int]:
    got = reader.read(wanted)
    assert got.column_names == COLUMNS
    return list(got["row"].to_pylist())


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 40), max_size=6).filter(any),
    shard_rows=st.integers(1, 50),
    width=st.sampled_from([1, 5, WIDE]),
    data=st.data(),
)
def test_every_shard_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    shard_rows: int,
    width: int,
    data: st.DataObject,
) -> None:
    path = write_groups(tmp_path_factory.mktemp("rows") / "a.parquet", sizes, width)
    total = sum(sizes)
    starts = data.draw(st.permutations(range(0, total, shard_rows)))
    reader = RowReader(COLUMNS)
    for start in starts:
        wanted = shard(path, start, min(shard_rows, total - start))
        assert rows(reader, wanted) == list(range(start, start + wanted.num_rows))
    path.unlink()


def test_two_files_in_turn(tmp_path: Path) -> None:
    one = write_groups(tmp_path / "a.parquet", [10])
    other = write_groups(tmp_path / "b.parquet", [3, 3], first=100)
    reader = RowReader(COLUMNS)
    for start in (0, 2, 4):
        assert rows(reader, shard(one, start, 2)) == [start, start + 1]
        assert rows(reader, shard(other, start, 2)) == [100 + start, 101 + start]


def test_going_forward_reads_on_in_the_open_file(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10, 10])
    reader = RowReader(COLUMNS)
    shards = [shard(path, *wanted) for wanted in ((0, 3), (3, 2), (8, 4), (0, 1))]
    assert rows(reader, shards[0]) == [0, 1, 2]
    path.unlink()  # from here on, only a file that is still open can be read
    assert rows(reader, shards[1]) == [3, 4]
    assert rows(reader, shards[2]) == [8, 9, 10, 11]
    with pytest.raises(StorageError):
        reader.read(shards[3])  # back: needs the file again


def test_going_far_forward_skips_the_groups_between(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10] * 5)
    reader = RowReader(COLUMNS)
    assert rows(reader, shard(path, 0, 3)) == [0, 1, 2]
    _damage(path, group=2)
    assert rows(reader, shard(path, 41, 2)) == [41, 42]


def _damage(path: Path, group: int) -> None:
    chunk = pq.read_metadata(path).row_group(group).column(1)
    content = bytearray(path.read_bytes())
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    content[first : first + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)


def test_a_damaged_page_is_named_and_its_neighbours_can_be_read(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10] * 3)
    _damage(path, group=1)
    reader = RowReader(COLUMNS)
    with pytest.raises(InputError, match=rf"{path}: rows 12 to 14 cannot be read: "):
        reader.read(shard(path, 12, 3))
    assert rows(reader, shard(path, 0, 2)) == [0, 1]
    assert rows(reader, shard(path, 20, 2)) == [20, 21]


def test_a_file_shorter_than_planned_is_named(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10])
    with pytest.raises(InputError, match=r"rows 8 to 12 cannot be read: the file ends at row 10"):
        RowReader(COLUMNS).read(shard(path, 8, 5))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "none.parquet", [10])
    wanted = shard(path, 0, 1)
    path.unlink()
    with pytest.raises(StorageError, match=r"none\.parquet: .*No such file"):
        RowReader(COLUMNS).read(wanted)


def test_a_file_that_changed_since_it_was_planned_is_not_read(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10])
    wanted = shard(path, 0, 3)
    write_groups(path, [10], first=100)
    with pytest.raises(InputError, match=rf"{path} has changed since it was planned; run again"):
        RowReader(COLUMNS).read(wanted)
    assert rows(RowReader(COLUMNS), shard(path, 0, 3)) == [100, 101, 102]


def test_values_that_a_file_holds_once_take_no_more_memory_than_others(tmp_path: Path) -> None:
    """As the text of one whole file beside each of its holes; the footer counts it once."""
    path, num_rows = tmp_path / "a.parquet", 1500
    texts = ["x = 1\n" * 20_000] * num_rows
    pq.write_table(pa.table({"row": range(num_rows), "prefix": texts}), path)
    del texts
    before = pa.total_allocated_bytes()
    reader = RowReader(COLUMNS)
    for start in range(0, 256, 64):
        shard = Shard(f"{start:020x}", "file", content_of(path), str(path), start, 64)
        rows = reader.read(shard)
        assert rows["row"].to_pylist() == list(range(start, start + 64))
        assert pa.total_allocated_bytes() - before < 4 * rows.nbytes
    assert reader.num_opened == 1


def test_a_file_is_let_go_with_the_next_one(tmp_path: Path) -> None:
    """Not when garbage is next collected, which may be hundreds of files later."""
    paths = [write_groups(tmp_path / f"{name}.parquet", [40], WIDE) for name in "ab"]
    reader = RowReader(COLUMNS)
    gc.disable()
    try:
        rows(reader, shard(paths[0], 0, 10))
        rows(reader, shard(paths[1], 0, 10))
        open_files = [Path(file.path).name for file in psutil.Process().open_files()]
    finally:
        gc.enable()
    assert [name for name in open_files if name.endswith(".parquet")] == ["b.parquet"]


def test_files_read_at_the_same_time_do_not_lose_the_cursor(tmp_path: Path) -> None:
    """The last shard of one file may take longer than the first one of the next."""
    one = write_groups(tmp_path / "a.parquet", [40], WIDE)
    other = write_groups(tmp_path / "b.parquet", [40], WIDE)
    reader = RowReader(COLUMNS)
    earlier, cursor = reader._take_cursor(shard(one, 0, 10))
    assert cursor is None
    assert rows(reader, shard(other, 0, 10)) == list(range(10))
    wanted = shard(one, 0, 10)
    late = _Cursor(Location.of(wanted.path), wanted, COLUMNS, reader._reads)
    reader._keep_cursor(earlier, late)
    assert rows(reader, shard(other, 10, 10)) == list(range(10, 20))
    assert reader.num_opened == 2


def test_a_file_that_was_read_to_its_end_does_not_replace_another(tmp_path: Path) -> None:
    large = write_groups(tmp_path / "a.parquet", [40], WIDE)
    small = write_groups(tmp_path / "b.parquet", [2])
    reader = RowReader(COLUMNS)
    rows(reader, shard(large, 0, 10))
    assert rows(reader, shard(small, 0, 2)) == [0, 1]
    assert rows(reader, shard(large, 10, 10)) == list(range(10, 20))
    assert reader.num_opened == 2


def test_threads_read_many_files_at_once(tmp_path: Path) -> None:
    paths = [write_groups(tmp_path / f"{i}.parquet", [2, 3], first=100 * i) for i in range(40)]
    reader = RowReader(COLUMNS)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda path: rows(reader, shard(path, 0, 5)), paths))
    assert found == [list(range(100 * i, 100 * i + 5)) for i in range(40)]


def test_after_a_read_that_failed_the_file_is_opened_anew(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "a.parquet", [10, 10])
    reader = RowReader(COLUMNS)
    assert rows(reader, shard(path, 0, 4)) == [0, 1, 2, 3]

    def broken() -> Iterator[pa.RecordBatch]:
        raise OSError("the network was away")
        yield

    assert reader._cursor is not None
    reader._cursor._batches, reader._cursor._rest = broken(), None
    wanted = shard(path, 4, 8)
    with pytest.raises(InputError, match="the network was away"):
        reader.read(wanted)
    assert rows(reader, wanted) == list(range(4, 12))
