"""A part holds each row's samples in input order, whatever else rides along."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.config import Input
from batchfim.errors import StorageError
from batchfim.records import OUTPUT_COLUMNS, Completion, Status, output_schema
from batchfim.shards import Shard
from batchfim.storage.inputs import open_inputs
from batchfim.storage.kept import as_kept
from batchfim.storage.location import Location
from batchfim.storage.parts import part_table, write_part
from batchfim.storage.rows import RowReader, columns_to_read
from tests.parquet import content_of

Write = Callable[..., Path]
CONSTANT = {"family": "starcoder2", "worker": "w", "attempt": 2}
STRUCT = pa.struct([("stars", pa.int64()), ("owner.name", pa.string())])
ODD = {
    "meta": pa.array([{"stars": 1, "owner.name": "a"}, None, {"stars": None}], STRUCT),
    "meta.stars": pa.array([7, 8, 9]),
    "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
    "pairs": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "deep": pa.array([[{"a": [1, None]}], [None], []]),
    "language": pa.array(["py", None, "c"]).dictionary_encode(),
    "price": pa.array([Decimal("1.25"), None, Decimal("-3.50")]),
    "when": pa.array([0, 1, None], pa.timestamp("us", "Europe/Berlin")),
    "hash": pa.array([b"\0\xff", None, b"ab"], pa.binary(2)),
    "text": pa.array(["é", None, ""], pa.large_string()),
    "nothing": pa.nulls(3),
    "né name with spaces": pa.array([True, None, False]),
}


def samples(num: int, text: str = "m") -> list[Completion]:
    return [Completion(Status.OK, sample=i, middle=f"{text}{i}") for i in range(num)]


@pytest.mark.parametrize("num_samples", [1, 3])
def test_every_sample_repeats_its_row_in_order(num_samples: int) -> None:
    rows = pa.table({"id": ["a", "b", "c"]})
    table = part_table(rows, [samples(num_samples, name) for name in "abc"], **CONSTANT)
    assert table["id"].to_pylist() == [name for name in "abc" for _ in range(num_samples)]
    assert table["sample"].to_pylist() == list(range(num_samples)) * 3
    assert table["middle"].to_pylist() == [f"{n}{i}" for n in "abc" for i in range(num_samples)]
    assert set(table["attempt"].to_pylist()) == {2}
    assert table.schema == output_schema(rows.schema, "a.parquet")


def test_a_row_without_a_generation_has_nulls_and_zeros() -> None:
    rejected = Completion(Status.REJECTED, error="why")
    (row,) = part_table(pa.table({"id": ["a"]}).select([]), [[rejected]], **CONSTANT).to_pylist()
    assert (row["status"], row["error"], row["middle"]) == ("rejected", "why", None)
    assert (row["prompt_tokens"], row["latency_s"]) == (0, None)
    assert tuple(row) == OUTPUT_COLUMNS


@pytest.mark.parametrize("num_samples", [1, 3])
def test_no_column_need_ride_along(num_samples: int) -> None:
    rows = pa.table({"id": ["a", "b"]}).select([])
    table = part_table(rows, [samples(num_samples, name) for name in "ab"], **CONSTANT)
    assert table["middle"].to_pylist() == [f"{n}{i}" for n in "ab" for i in range(num_samples)]


@pytest.mark.parametrize("num_samples", [1, 2])
@pytest.mark.parametrize("group_rows", [1, 3])
def test_odd_columns_come_back_as_they_were(
    write: Write, tmp_path: Path, num_samples: int, group_rows: int
) -> None:
    """From an input file, through a shard in pieces, into a part."""
    path = write(**ODD)
    pq.write_table(pq.read_table(path), path, row_group_size=group_rows)
    inputs = open_inputs(Input(paths=(str(path),)))
    reader = RowReader(columns_to_read(Input(paths=("x",)).columns, inputs.kept.names))
    rows = reader.read(Shard("s", "file", content_of(path), str(path), 0, 3))
    table = part_table(as_kept(rows, inputs.kept), [samples(num_samples)] * 3, **CONSTANT)
    target = Location.of(str(tmp_path / "part.parquet"))
    write_part(target, table, "zstd")
    back = pq.read_table(target.path)
    assert back.schema == output_schema(inputs.kept, "a.parquet")
    for name, column in ODD.items():
        values = [value for value in column.to_pylist() for _ in range(num_samples)]
        assert back[name].to_pylist() == values, name


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
def test_checksum_and_size_are_the_files_own(tmp_path: Path, compression: str) -> None:
    table = part_table(pa.table({"id": range(1000)}), [samples(1)] * 1000, **CONSTANT)
    path = tmp_path / "part.parquet"
    checksum, size = write_part(Location.of(str(path)), table, compression)
    content = path.read_bytes()
    assert checksum == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert size == len(content)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    assert chunk.compression == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())


def test_a_part_that_cannot_be_written_names_it(tmp_path: Path) -> None:
    table = part_table(pa.table({"id": [1]}), [samples(1)], **CONSTANT)
    with pytest.raises(StorageError, match=str(tmp_path / "none")):
        write_part(Location.of(str(tmp_path / "none" / "part.parquet")), table, "zstd")


def test_a_part_that_was_cut_short_on_its_way_is_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Location.write
    monkeypatch.setattr(Location, "write", lambda self, data: write(self, bytes(data)[:-9]))
    with pytest.raises(StorageError, match="does not read back"):
        write_part(Location.of(str(tmp_path / "p.parquet")), pa.table({"a": [1]}), "zstd")
