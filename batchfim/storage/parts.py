"""Write a part under a temporary name, and check it before it becomes visible."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.arrow import reader, take_rows
from batchfim.errors import InputError, StorageError
from batchfim.records import OUTPUT_FIELDS, Completion
from batchfim.storage.footer import MAGIC, read_footer
from batchfim.storage.location import Location


def part_table(rows: pa.Table, completions: list[list[Completion]], **constant: Any) -> pa.Table:
    """The output rows of a shard: the samples of each input row, in input order.

    Args:
        rows: the input columns to keep, one row per record.
        completions: the samples of each row.
        constant: output columns equal in all rows (`family`, `worker`, `attempt`).
    """
    flat = [sample for samples in completions for sample in samples]
    if len(flat) != rows.num_rows:
        indices = [i for i, samples in enumerate(completions) for _ in samples]
        rows = take_rows(rows, indices)
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


def checksum(part: bytes | pa.Buffer) -> str:
    """The blake2b checksum of a part's bytes, as stored in its marker: hex, 32 characters."""
    return hashlib.blake2b(part, digest_size=16).hexdigest()


def write_part(target: Location, table: pa.Table, compression: str) -> tuple[str, int]:
    """Write one Parquet file and read its footer back.

    Returns:
        the file's checksum and its size in bytes.

    Raises:
        StorageError: the file could not be written, or does not read back with the same rows.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression)
    data = sink.getvalue()
    target.write(data)
    try:
        _check(target, data.size, table.num_rows)
    except (InputError, pa.ArrowException, OSError) as error:
        raise StorageError(
            f"{target.url}: the part does not read back as written: {error}"
        ) from None
    return checksum(data), data.size


def read_part(part: Location, columns: Collection[str] | None = None) -> pa.Table:
    """The rows of a committed part.

    Args:
        part: its file.
        columns: names of the columns to read, if the part has them; None: all.

    Raises:
        StorageError: the part is missing or damaged.
    """
    data = part.read()
    try:
        file = pq.ParquetFile(reader(data))
        names = file.schema_arrow.names
        return file.read([name for name in names if columns is None or name in columns])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{part.url}: the part is damaged: {error}") from None


def _check(part: Location, size_bytes: int, num_rows: int) -> None:
    footer = read_footer(part)
    written = pq.read_metadata(pa.BufferReader(MAGIC + footer.data)).num_rows
    if (footer.size_bytes, written) != (size_bytes, num_rows):
        raise StorageError(
            f"{part.url}: wrote {num_rows} rows in {size_bytes} bytes, found {written} in "
            f"{footer.size_bytes}"
        )
