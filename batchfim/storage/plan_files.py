"""The stored plan: all shards, as a few Parquet files.

plan/<n>.parquet               shards that a run added
     split-<shard id>.parquet  the two halves that replace a shard
     <n>-all.parquet           the whole plan up to here; the files before it no longer count
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from batchfim.arrow import reader
from batchfim.errors import StorageError
from batchfim.shards import Shard
from batchfim.storage.location import Location

_MOST_FILES = 8
_ID = "^[0-9a-f]{20}$"
_NAMES = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("file", _NAMES),
        pa.field("content", _NAMES),
        pa.field("path", _NAMES),
        pa.field("start", pa.int64()),
        pa.field("num_rows", pa.int64()),
    ]
)
_SPLIT_SCHEMA = _SCHEMA.append(pa.field("parent", pa.string()))


class PlanFiles:
    """Reads and writes the plan; only the run that holds the job's lease may write."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def read(self, left_out: Callable[[pa.Table], pa.Array] | None = None) -> list[Shard]:
        """All planned shards in the order in which they were planned, with splits applied.

        Args:
            left_out: mask of the rows of a table of shards that are to be left out.

        Raises:
            StorageError: a file is damaged, or a shard is planned twice; the message says what to
                do.
        """
        plans, splits = self._list()
        tables = [_table(plan, _SCHEMA) for plan in plans]
        self._check_distinct(tables)
        if left_out is not None:
            tables = [table.filter(pc.invert(left_out(table))) for table in tables]
        halves = dict(_halves(split) for split in splits)
        with _no_collections():
            shards: Iterable[Shard] = chain.from_iterable(map(_shards, tables))
            return list(_resolved(shards, halves, self._folder) if halves else shards)

    def files(self) -> tuple[dict[str, str], dict[str, datetime]]:
        """The content id of every planned file and when its plan was written, both by file id.

        If the plan was compacted, that time is later.
        """
        plans, _ = self._list()
        found: dict[str, str] = {}
        times: dict[str, datetime] = {}
        for plan in plans:
            table = _table(plan, _SCHEMA)
            files = table["file"].combine_chunks()
            _, firsts = np.unique(files.indices.to_numpy(), return_index=True)
            contents = table["content"].take(firsts).to_pylist()
            of_plan = dict(zip(files.take(firsts).to_pylist(), contents, strict=True))
            at = plan.info().mtime
            times |= dict.fromkeys(of_plan.keys() - found.keys(), at) if at else {}
            found |= of_plan
        return found, times

    def row_counts(self) -> pa.Table:
        """`id`, `file` and `num_rows` of all planned shards; uses objects only after a split."""
        plans, splits = self._list()
        tables = [_columns(self.read())] if splits else [_table(plan, _SCHEMA) for plan in plans]
        columns = [table.select(["id", "file", "num_rows"]) for table in [_columns([]), *tables]]
        return pa.concat_tables(columns)

    def add(self, shards: Sequence[Shard]) -> None:
        """Add shards that no earlier run planned."""
        if shards:
            self._write(f"{self._next_number():06}.parquet", _columns(shards))

    def split(self, parent: Shard, children: tuple[Shard, Shard]) -> None:
        """Replace a shard by its two halves; safe to repeat."""
        table = _columns(children).append_column("parent", pa.array([parent.id] * 2, pa.string()))
        self._write(f"split-{parent.id}.parquet", table)

    def compact(self) -> None:
        """Merge many files into one; a kill in between does not change the plan."""
        before = self._folder.list()
        if len(before) > _MOST_FILES:
            self._write(f"{self._next_number():06}-all.parquet", _columns(self.read()))
            self._delete(before)

    def clear(self) -> None:
        """Delete the plan."""
        self._delete(self._folder.list())

    def _list(self) -> tuple[list[Location], list[Location]]:
        """The current files of shards, in order, and the files of splits."""
        found = [info for info in self._folder.list() if info.base_name.endswith(".parquet")]
        # By their own names: a folder above may be called `split-…` too.
        splits = [info for info in found if info.base_name.startswith("split-")]
        plans = [info for info in found if not info.base_name.startswith("split-")]
        whole = [i for i, info in enumerate(plans) if info.base_name.endswith("-all.parquet")]
        plans = plans[whole[-1] if whole else 0 :]
        return list(map(self._location, plans)), list(map(self._location, splits))

    def _check_distinct(self, tables: list[pa.Table]) -> None:
        ids = [chunk for table in tables for chunk in table["id"].chunks]
        column = pa.chunked_array(ids, pa.string())
        if pc.count_distinct(column).as_py() != len(column):
            raise StorageError(
                f"{self._folder.path}: some shards are planned twice, probably by a copy of a plan "
                "file; remove the copy"
            )

    def _next_number(self) -> int:
        """One above all existing numbers: a plan file must never replace another."""
        names = [info.base_name[:6] for info in self._folder.list()]
        return max((int(name) + 1 for name in names if name.isdigit()), default=0)

    def _write(self, name: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        (self._folder / name).write(sink.getvalue().to_pybytes())

    def _delete(self, files: Iterable[fs.FileInfo]) -> None:
        for info in files:
            self._location(info).delete()

    def _location(self, info: fs.FileInfo) -> Location:
        return Location(self._folder.filesystem, info.path)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pause garbage collection, which takes a third of the time to make a million objects."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _columns(shards: Sequence[Shard]) -> pa.Table:
    columns = {name: [getattr(shard, name) for shard in shards] for name in _SCHEMA.names}
    return pa.table(columns, schema=_SCHEMA)


def _table(location: Location, schema: pa.Schema) -> pa.Table:
    try:
        source = reader(location.read())
        table = pq.read_table(source, schema=schema, page_checksum_verification=True)
        table = table.unify_dictionaries()
        _check(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(
            f"{location.path}: not a plan of this version ({error}); restore this file, or choose "
            "another output.path"
        ) from None
    return table


def _check(table: pa.Table) -> None:
    for name in table.column_names:
        if table[name].null_count:
            raise ValueError(f"column {name!r} is missing or has nulls")
    ids_fit = pc.all(pc.match_substring_regex(table["id"], _ID)).as_py()
    rows_fit = table.num_rows == 0 or (
        pc.min(table["start"]).as_py() >= 0 and pc.min(table["num_rows"]).as_py() > 0
    )
    if not (ids_fit is not False and rows_fit):
        raise ValueError("malformed shard id or row range")


def _shards(table: pa.Table) -> Iterator[Shard]:
    """The shards of a table; equal strings share one object, so that the driver holds a million."""
    columns = (_plain(table[name].combine_chunks()) for name in _SCHEMA.names)
    return map(Shard, *columns)


def _plain(column: pa.Array) -> Iterable[Any]:
    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    texts = column.dictionary.to_pylist()
    return (texts[index] for index in column.indices.to_pylist())


def _halves(split: Location) -> tuple[str, list[Shard]]:
    table = _table(split, _SPLIT_SCHEMA)
    return table["parent"][0].as_py(), list(_shards(table))


def _resolved(
    shards: Iterable[Shard], halves: dict[str, list[Shard]], folder: Location
) -> Iterator[Shard]:
    """The shards with splits applied; ignores splits from before the plan was compacted."""
    for shard in shards:
        if shard.id not in halves:
            yield shard
            continue
        _check_halves(shard, halves[shard.id], folder)
        yield from _resolved(halves[shard.id], halves, folder)


def _check_halves(parent: Shard, children: list[Shard], folder: Location) -> None:
    ranges = [(child.file, child.start, child.num_rows) for child in children]
    cut = children[0].num_rows
    rest = (parent.file, parent.start + cut, parent.num_rows - cut)
    if ranges != [(parent.file, parent.start, cut), rest]:
        raise StorageError(
            f"{folder.path}/split-{parent.id}.parquet: not two halves of the shard; restore this "
            "file, or choose another output.path"
        )
