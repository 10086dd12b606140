"""Sample a job's records so that they share text as all of them do."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.config import Input
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet
from batchfim.storage.kept import kept_type, without_nulls
from batchfim.storage.location import Location
from batchfim.storage.rows import RowReader, columns_to_read

Span = tuple[InputFile, int, int]  # of a file: the first row and the number of rows
BLOCK_ROWS = 100  # neighbors share prefixes; single rows would look as if nothing were shared


def write_sample(
    section: Input,
    inputs: InputSet,
    num_rows: int,
    seed: int,
    target: Location,
    block_rows: int = BLOCK_ROWS,
) -> int:
    """Write blocks of adjacent rows, drawn from all files, to one Parquet file.

    Args:
        section: the `input` section of the job, for the columns to read.
        inputs: its files.
        num_rows: rows to take; all rows if there are fewer.
        seed: random seed of the sample.
        target: the file to write.
        block_rows: adjacent rows taken together.

    Returns:
        the number of rows written.

    Raises:
        InputError: a file is damaged.
        StorageError: the sample cannot be written.
    """
    wanted = [*inputs.kept.names, *inputs.language_columns.names]
    reader = RowReader(columns_to_read(section.columns, wanted))
    written, sink = 0, pa.BufferOutputStream()
    writer: pq.ParquetWriter | None = None
    for file, start, size in choose_blocks(inputs.files, num_rows, seed, block_rows):
        rows = reader.read(Shard("sample", "sample", file.content, file.path, start, size))
        writer = writer or pq.ParquetWriter(sink, _for_all(rows.schema, inputs.kept))
        # The types of columns that are not kept may differ by file; unsafe casts let invalid UTF-8
        # pass.
        writer.write_table(rows.cast(writer.schema, safe=False))
        written += rows.num_rows
    if writer:
        writer.close()
        target.write(sink.getvalue().to_pybytes())
    return written


def choose_blocks(
    files: Sequence[InputFile], num_rows: int, seed: int, block_rows: int = BLOCK_ROWS
) -> list[Span]:
    """Draw blocks of adjacent rows: file, first row and number of rows, in input order."""
    return choose_in([(file, 0, file.num_rows) for file in files], num_rows, seed, block_rows)


def choose_in(spans: Sequence[Span], num_rows: int, seed: int, block_rows: int) -> list[Span]:
    """As `choose_blocks`, from these rows only."""
    firsts = [0, *accumulate(-(-rows // block_rows) for _, _, rows in spans)]
    chosen, left = [], num_rows
    for number in _shuffled(firsts[-1], random.Random(seed)):
        if left <= 0:
            break
        place = bisect_right(firsts, number) - 1
        offset = (number - firsts[place]) * block_rows
        size = min(block_rows, spans[place][2] - offset, left)
        chosen.append((place, offset, size))
        left -= size
    drawn = ((*spans[place][:2], offset, size) for place, offset, size in sorted(chosen))
    return [(file, start + offset, size) for file, start, offset, size in drawn]


def _for_all(first: pa.Schema, kept: pa.Schema) -> pa.Schema:
    """A schema for the rows of all files, by that of the first and the columns kept of all."""
    types = {field.name: kept_type(field.type) for field in first}
    types |= {field.name: field.type for field in kept}
    return without_nulls(pa.schema([(name, types[name]) for name in first.names]))


def _shuffled(count: int, draw: random.Random) -> Iterator[int]:
    """The numbers below `count` in random order, using memory only for those drawn."""
    moved: dict[int, int] = {}
    for place in range(count):
        other = draw.randrange(place, count)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)
