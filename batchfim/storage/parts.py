"""Write a part: aside, with its checksum, and checked before anybody may see it."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import StorageError
from batchfim.records import OUTPUT_FIELDS, Completion
from batchfim.storage.location import Location, storage_errors


def part_table(rows: pa.Table, completions: list[list[Completion]], **constant: Any) -> pa.Table:
    """The output rows of a shard: for each input row its samples, in input order.

    Args:
        rows: the columns that ride along, one row per record.
        completions: the samples of each row.
        constant: output columns equal in all rows (`family`, `worker`, `attempt`).
    """
    flat = [sample for samples in completions for sample in samples]
    if len(flat) != rows.num_rows:
        indices = [i for i, samples in enumerate(completions) for _ in samples]
        rows = rows.take(pa.array(indices, pa.int64()))
    added = [
        pa.array(
            [constant[field.name]] * len(flat)
            if field.name in constant
            else [getattr(sample, field.name) for sample in flat],
            field.type,
        )
        for field in OUTPUT_FIELDS
    ]
    schema = pa.schema([*rows.schema, *OUTPUT_FIELDS], rows.schema.metadata)
    return pa.Table.from_arrays([*rows.columns, *added], schema=schema)


def write_part(target: Location, table: pa.Table, compression: str) -> tuple[str, int]:
    """Write one Parquet file and read its footer back.

    Returns:
        blake2b of the file's bytes (hex, 32 characters) and its size in bytes.

    Raises:
        StorageError: it could not be written, or does not read back with the same rows.
    """
    with storage_errors(target):
        with target.filesystem.open_output_stream(target.path) as stream:
            sink = _HashingSink(stream)
            pq.write_table(table, pa.PythonFile(sink, mode="w"), compression=compression)
        with target.filesystem.open_input_file(target.path) as file:
            written_rows = pq.read_metadata(file).num_rows
    if written_rows != table.num_rows:
        raise StorageError(f"{target.path}: wrote {table.num_rows} rows, found {written_rows}")
    return sink.digest.hexdigest(), sink.num_bytes


def read_part(part: Location) -> pa.Table:
    """A committed part's rows.

    Raises:
        StorageError: it is gone, or damaged.
    """
    data = part.read()
    try:
        return pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{part.path}: the part is damaged: {error}") from None


class _HashingSink:
    """The least of a Python file that Arrow writes to."""

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self.digest = hashlib.blake2b(digest_size=16)
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.digest.update(cast(bytes, memoryview(data)))
        self.num_bytes += len(memoryview(data))
        return len(memoryview(data))

    def tell(self) -> int:
        return self.num_bytes

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self.closed = True
