"""A sample of a job's records that shares text as the whole does."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.config import Input
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet
from batchfim.storage.location import Location
from batchfim.storage.rows import RowReader, columns_to_read

_BLOCK_ROWS = 100  # neighbours share prefixes; single rows would look as if nothing were shared


def write_sample(
    section: Input,
    inputs: InputSet,
    num_rows: int,
    seed: int,
    target: Location,
    block_rows: int = _BLOCK_ROWS,
) -> int:
    """Write blocks of neighbouring rows, drawn from all files, as one Parquet file.

    Args:
        section: the job's, for the columns it reads.
        inputs: its files.
        num_rows: rows to take; all where there are no more.
        seed: of the draw.
        target: the file to write.
        block_rows: neighbours taken together.

    Returns:
        rows written.

    Raises:
        InputError: a file is damaged.
        StorageError: the sample cannot be written.
    """
    columns = columns_to_read(section.columns, inputs.kept.names)
    reader, written, sink = RowReader(columns), 0, pa.BufferOutputStream()
    writer: pq.ParquetWriter | None = None
    for file, start, size in choose_blocks(inputs.files, num_rows, seed, block_rows):
        rows = reader.read(Shard("sample", "sample", file.content, file.path, start, size))
        writer = writer or pq.ParquetWriter(sink, rows.schema)
        writer.write_table(rows)
        written += rows.num_rows
    if writer:
        writer.close()
        target.write(sink.getvalue().to_pybytes())
    return written


def choose_blocks(
    files: list[InputFile], num_rows: int, seed: int, block_rows: int = _BLOCK_ROWS
) -> list[tuple[InputFile, int, int]]:
    """File, first row and number of rows of each block, in input order."""
    blocks = [
        (place, start, min(block_rows, file.num_rows - start))
        for place, file in enumerate(files)
        for start in range(0, file.num_rows, block_rows)
    ]
    random.Random(seed).shuffle(blocks)
    chosen, left = [], num_rows
    for place, start, size in blocks:
        if left <= 0:
            break
        chosen.append((place, start, min(size, left)))
        left -= size
    return [(files[place], start, size) for place, start, size in sorted(chosen)]
