"""Files out: bounded groups, nothing half-written, nothing replaced unasked."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import InputError, OutputError
from batchfim.prepare.writer import DEFAULT_LIMITS, Limits, Row, write_records

SCHEMA = pa.schema([("id", pa.string()), ("prefix", pa.string()), ("n", pa.int64())])


def some_rows(number: int, width: int = 1) -> Iterator[Row]:
    for n in range(number):
        yield {"id": str(n), "prefix": "é" * width, "n": n}


def write(
    out: Path, rows: Iterator[Row], limits: Limits = DEFAULT_LIMITS, overwrite: bool = False
) -> int:
    return write_records(out, SCHEMA, rows, sources=[], overwrite=overwrite, limits=limits)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_rows_keep_their_order_over_groups_and_files(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    assert write(out, some_rows(25), Limits(row_group_rows=4, file_rows=10)) == 25
    assert names(out) == [f"records-0000{n}.parquet" for n in range(3)]
    assert names(tmp_path / "deep") == ["out"]
    assert pq.read_table(out)["n"].to_pylist() == list(range(25))
    first = pq.ParquetFile(out / "records-00000.parquet").metadata
    assert [first.row_group(n).num_rows for n in range(first.num_row_groups)] == [4, 4, 4]
    assert first.row_group(0).column(1).compression == "ZSTD"


def test_row_groups_are_bounded_in_bytes_not_characters(tmp_path: Path) -> None:
    # A row is 100 two-byte characters, an id of one byte and a number: 209 bytes.
    write(tmp_path / "out", some_rows(9, width=100), Limits(row_group_bytes=450))
    metadata = pq.ParquetFile(tmp_path / "out" / "records-00000.parquet").metadata
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert groups == [2, 2, 2, 2, 1]


def test_a_row_larger_than_a_group_stands_alone(tmp_path: Path) -> None:
    assert write(tmp_path / "out", some_rows(3, width=100), Limits(row_group_bytes=10)) == 3
    assert pq.ParquetFile(tmp_path / "out" / "records-00000.parquet").num_row_groups == 3


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for number in (400, 1600):
        tracemalloc.start()
        write(tmp_path / str(number), some_rows(number, 2000), Limits(row_group_rows=100))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("after", [0, 7])
def test_an_error_in_the_rows_leaves_no_trace(tmp_path: Path, after: int) -> None:
    def rows() -> Iterator[Row]:
        yield from some_rows(after)
        raise InputError("bad row")

    with pytest.raises(InputError, match="bad row"):
        write(tmp_path / "out", rows(), Limits(row_group_rows=2))
    assert names(tmp_path) == []


def test_nothing_is_visible_while_rows_arrive(tmp_path: Path) -> None:
    seen = []

    def rows() -> Iterator[Row]:
        for row in some_rows(9):
            seen.append((tmp_path / "out").exists())
            yield row

    write(tmp_path / "out", rows(), Limits(row_group_rows=2))
    assert seen == [False] * 9
    assert (tmp_path / "out").exists()


def test_parquet_is_replaced_only_if_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, some_rows(30), Limits(row_group_rows=5, file_rows=10))
    with pytest.raises(OutputError, match=r"already contains 3 Parquet.*--overwrite"):
        write(out, some_rows(1))
    assert pq.read_table(out).num_rows == 30
    write(out, some_rows(1), overwrite=True)
    assert names(out) == ["records-00000.parquet"]
    assert names(tmp_path) == ["out"]
    assert pq.read_table(out).num_rows == 1


def test_a_failed_overwrite_keeps_the_old_records(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield from some_rows(7)
        raise InputError("bad row")

    out = tmp_path / "out"
    write(out, some_rows(30))
    with pytest.raises(InputError):
        write(out, rows(), Limits(row_group_rows=2), overwrite=True)
    assert pq.read_table(out).num_rows == 30
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_taken_and_open_to_other_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(out, some_rows(1))
    plain = tmp_path / "plain"
    plain.mkdir()
    assert out.stat().st_mode == plain.stat().st_mode


def test_other_peoples_files_are_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"contains notes.txt"):
            write(out, some_rows(1), overwrite=overwrite)
    assert names(out) == ["notes.txt"]


def test_files_that_came_meanwhile_are_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def rows() -> Iterator[Row]:
        yield from some_rows(3)
        out.mkdir()
        (out / "records-00000.parquet").write_text("another run's")

    with pytest.raises(OutputError, match="already contains 1 Parquet"):
        write(out, rows())
    assert (out / "records-00000.parquet").read_text() == "another run's"


def test_a_file_or_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match=r"file.*choose another"):
            write(out, some_rows(1))


def test_the_source_is_never_the_output(tmp_path: Path) -> None:
    pq.write_table(pa.table({"code": ["x"]}), tmp_path / "source.parquet")
    for source in (tmp_path, tmp_path / "source.parquet"):
        with pytest.raises(OutputError, match="contains the source"):
            write_records(tmp_path, SCHEMA, some_rows(1), sources=[source], overwrite=True)
    assert names(tmp_path) == ["source.parquet"]
