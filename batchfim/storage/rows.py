"""Read the rows of a shard, with memory bounded by the shard, not by its file or row groups."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.arrow import reader
from batchfim.config import Columns
from batchfim.errors import InputError, first_line
from batchfim.records import plain_type
from batchfim.shards import Shard
from batchfim.storage.footer import read_footer
from batchfim.storage.location import Location

_BATCH_BYTES = 4 << 20
_BUFFER_BYTES = 1 << 20
_SOME_ROWS = 64


def columns_to_read(columns: Columns, kept: Iterable[str]) -> list[str]:
    """The columns to keep and those that make up the records, without duplicates."""
    return list(dict.fromkeys([*kept, *columns.names.values()]))


class RowReader:
    """Reads the shards of one worker.

    A cursor stays open on the last file with rows left. In Parquet, the only way into the middle of
    a row group is to decode it from its start, so a later shard of the same group continues from
    the cursor: a worker that gets its shards in row order decodes each group once.

    Shards of different files may be read at the same time, in several threads.
    """

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._cursor: _Cursor | None = None
        self._cursor_number = 0  # of the read that left the cursor
        self._lock = Lock()
        self._last_number = 0
        self.num_opened = 0  # each opening decodes a row group from its start
        self._reads = _Reads()

    @property
    def num_reads(self) -> int:
        """Reads of files so far, retries included: slow storage makes some, a hung one none."""
        return self._reads.num

    def read(self, shard: Shard) -> pa.Table:
        """The rows of a shard.

        Raises:
            InputError: the file is damaged or shorter than planned; names file and rows.
            StorageError: the storage failed; the next read opens the file again.
        """
        try:
            number, cursor = self._take_cursor(shard)
            if cursor is None:
                cursor = _Cursor(Location.of(shard.path), shard, self._columns, self._reads)
            table = cursor.take(shard.start, shard.num_rows)
            self._keep_cursor(number, cursor)
            return table
        except (pa.ArrowException, EOFError, OSError) as error:
            rows = f"rows {shard.start} to {shard.start + shard.num_rows - 1}"
            what = f"{shard.path}: {rows} cannot be read: {first_line(error)}"
            raise InputError(what) from None

    def _take_cursor(self, shard: Shard) -> tuple[int, _Cursor | None]:
        """The number of this read, and the cursor if it helps; a failed read does not return it."""
        with self._lock:
            self._last_number += 1
            cursor = self._cursor
            if cursor is not None and cursor.reaches(shard):
                self._cursor = None
                return self._last_number, cursor
            self.num_opened += 1
            return self._last_number, None

    def _keep_cursor(self, number: int, cursor: _Cursor) -> None:
        """Keep a cursor for later shards, unless a later read has left one of another file."""
        with self._lock:
            if number > self._cursor_number and not cursor.at_end:
                self._cursor, self._cursor_number = cursor, number


@dataclass
class _Reads:
    """Counts reads. Not a method of the reader: a file would keep the reader alive, and so itself,
    until a full garbage collection.
    """

    num: int = 0

    def add(self) -> None:
        self.num += 1


class _Cursor:
    """A position in one file that only moves forward."""

    def __init__(self, location: Location, shard: Shard, columns: list[str], reads: _Reads) -> None:
        self._path = shard.path
        footer = read_footer(location)
        if footer.content != shard.content:
            raise InputError(f"{shard.path} has changed since it was planned; run again")
        self._file = pq.ParquetFile(
            _source(location, footer.size_bytes, reads),
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,  # if a page has one
        )
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        group = self._group(shard.start)
        self._row = self._starts[group]
        self._rest: pa.RecordBatch | None = None
        self._batches = _batches(self._file, group, columns)

    @property
    def at_end(self) -> bool:
        return bool(self._row >= self._starts[-1])

    def reaches(self, shard: Shard) -> bool:
        """Whether continuing from here is no slower than opening the file again."""
        return (
            shard.path == self._path
            and self._row <= shard.start
            and self._group(shard.start) <= self._group(self._row) + 1
        )

    def take(self, start: int, num_rows: int) -> pa.Table:
        """Move forward to `start` and read `num_rows` rows."""
        while self._row < start:
            self._next(start - self._row)
        batches, missing = [], num_rows
        while missing:
            batches.append(self._next(missing))
            missing -= batches[-1].num_rows
        return without_views(pa.Table.from_batches(batches))

    def _next(self, at_most: int) -> pa.RecordBatch:
        batch = self._rest if self._rest is not None else next(self._batches, None)
        if batch is None:
            raise EOFError(f"the file ends at row {self._row}")
        taken = batch.slice(0, at_most)
        self._rest = batch.slice(at_most) if batch.num_rows > at_most else None
        self._row += taken.num_rows
        return taken

    def _group(self, row: int) -> int:
        return min(bisect_right(self._starts, row) - 1, max(len(self._starts) - 2, 0))


def _source(location: Location, size_bytes: int, reads: _Reads) -> pa.NativeFile:
    """A file to read from; a small one is read whole, as otherwise each column takes a request."""
    file = location.open(reads.add)
    if size_bytes > _BUFFER_BYTES:
        return pa.PythonFile(file, mode="r")
    with file:
        return reader(file.read())


def _batches(file: pq.ParquetFile, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches from a group on, one group at a time, so that a damaged one spoils no rows before it.

    Not a method of the cursor: the generator would keep the cursor, and so the file, alive until a
    full garbage collection.
    """
    for number in range(group, file.metadata.num_row_groups):
        yield from file.iter_batches(_batch_rows(file, number, columns), [number], columns)


def _batch_rows(file: pq.ParquetFile, group: int, columns: list[str]) -> int:
    """Rows per batch by the size of some decoded rows: a footer counts repeated values once."""
    by_footer = _rows_by_footer(file.metadata)
    if file.metadata.row_group(group).num_rows <= _SOME_ROWS:
        return by_footer
    some = next(file.iter_batches(min(by_footer, _SOME_ROWS), [group], columns), None)
    if some is None or not some.num_rows:
        return by_footer
    by_values = int(_BATCH_BYTES * some.num_rows / max(some.nbytes, 1))
    return max(1, min(by_footer, by_values))


def without_views(table: pa.Table) -> pa.Table:
    """The table with every column in its plain type (`records.plain_type`)."""
    fields = [field.with_type(plain_type(field.type)) for field in table.schema]
    schema = pa.schema(fields)
    return table if schema.equals(table.schema) else table.cast(schema)


def _rows_by_footer(metadata: pq.FileMetaData) -> int:
    num_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(1, min(4096, int(_BATCH_BYTES * metadata.num_rows / max(num_bytes, 1))))
