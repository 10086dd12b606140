"""Sort with Ray Data: rows go through its object store, which spills to disk."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data import DataContext, Datasink
from ray.data.block import BlockAccessor
from ray.exceptions import RayError

from batchfim.errors import BatchfimError, ConfigError, JobFailed
from batchfim.regroup.keys import GROUP_CHARACTERS, row_group_ends, sort_key
from batchfim.shards import InputFile, Shard
from batchfim.storage.kept import SOURCE, with_source
from batchfim.storage.location import Location
from batchfim.storage.rows import RowReader

_KEY = "__batchfim_key"
_READ_BYTES = 8 << 20
_MOST_ROWS = 4096
_BLOCK_BYTES = 64 << 20  # read, sorted and written by one task, which uses several times that


@dataclass(frozen=True)
class SortJob:
    """What to sort, by which columns, and where to write it.

    Attributes:
        files: the files to read, each row group by one task.
        columns: the columns to write, before the two with a row's original place.
        kept: schema of the columns that are kept in the output.
        prefix: name of the prefix column.
        group: name of the column to group by; None: group by the start of the prefix.
        target: URL or path of the folder to write to.
    """

    files: Sequence[InputFile]
    columns: Sequence[str]
    kept: pa.Schema
    prefix: str
    group: str | None
    target: str


def sort_files(job: SortJob, *, progress: bool) -> int:
    """Write the rows of some files to new files, in sorted order.

    Returns:
        the number of rows written.

    Raises:
        InputError, StorageError: rows cannot be read or written.
        JobFailed: Ray failed to sort.
    """
    groups = [group for file in job.files for group in _row_groups(file)]
    num_bytes = sum(file.num_rows * file.row_bytes for file in job.files)
    num_blocks = min(len(groups), 1 + int(num_bytes / _BLOCK_BYTES))
    sink = _Sink(job)
    try:
        with _quiet(progress):
            (
                ray.data.from_items(groups, override_num_blocks=num_blocks)
                .map_batches(_Reader(job), batch_size=1, batch_format="pyarrow")
                .sort(_KEY)
                .write_datasink(sink)
            )
    except (RayError, ValueError, RuntimeError) as error:
        raise _translated(error) from None
    return sink.num_rows


def check_can_sort() -> None:
    """Raise ConfigError if Ray has no CPU, as its tasks would then wait forever."""
    if ray.cluster_resources().get("CPU", 0) < 1:
        raise ConfigError(
            "planning.regroup sorts in Ray tasks, but no node of this Ray cluster has a CPU for "
            "them; start one with --num-cpus, or set schedule.workers to {min, max} if nodes are "
            "still to join"
        )


@contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Silence Ray Data's own logs and tracebacks, which are meant for its users."""
    log, context = logging.getLogger("ray.data"), DataContext.get_current()
    before = log.level, context.enable_progress_bars
    log.setLevel(logging.CRITICAL)
    context.enable_progress_bars = progress
    try:
        yield
    finally:
        log.setLevel(before[0])
        context.enable_progress_bars = before[1]


def _row_groups(file: InputFile) -> Iterator[dict[str, object]]:
    starts = [*file.group_starts] or [0]
    step = max(1, min(_MOST_ROWS, int(_READ_BYTES / max(file.row_bytes, 1.0))))
    for start, end in zip(starts, [*starts[1:], file.num_rows], strict=True):
        place = {"file": file.id, "content": file.content, "path": file.path}
        yield place | {"start": start, "end": end, "step": step}


class _Reader:
    """Reads the rows of a row group, a few megabytes at a time, with their keys and places."""

    def __init__(self, job: SortJob) -> None:
        self._job = job

    def __call__(self, groups: pa.Table) -> Iterator[pa.Table]:
        job = self._job
        wanted = [*job.columns, job.prefix, *([job.group] if job.group else [])]
        reader = RowReader(list(dict.fromkeys(wanted)))
        for group in groups.to_pylist():
            for start in range(group["start"], group["end"], group["step"]):
                num_rows = min(group["step"], group["end"] - start)
                place = (group["file"], group["content"], group["path"])
                yield self._with_key(reader.read(Shard("", *place, start, num_rows)), *place, start)

    def _with_key(self, rows: pa.Table, file: str, content: str, path: str, start: int) -> pa.Table:
        job = self._job
        prefixes = _bytes(rows[job.prefix])
        groups = _bytes(rows[job.group]) if job.group else [None] * rows.num_rows
        places = range(start, start + rows.num_rows)
        keys = list(map(sort_key, groups, prefixes, places))
        alike = with_source(self._alike(rows.select(job.columns)), path, places)
        return alike.append_column(_KEY, pa.array(keys, pa.string()))

    def _alike(self, rows: pa.Table) -> pa.Table:
        """Unify the types of the columns: files may differ, Ray Data needs one."""
        kept = self._job.kept
        for i, name in enumerate(rows.column_names):
            is_kept = name in kept.names
            column = rows[name].cast(kept.field(name).type, safe=False) if is_kept else rows[name]
            rows = rows.set_column(i, name, column if is_kept else _plain_text(column))
        return rows


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert any text type to large strings; other types stay as they are."""
    if pa.types.is_null(column.type):
        return column.cast(pa.large_string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_string_view(column.type)
    return column.cast(pa.large_string()) if is_text else column


def _bytes(column: pa.ChunkedArray) -> list[bytes]:
    """Values as bytes, which are equal if the values are; null becomes empty.

    Text that is not UTF-8 passes through: its row is rejected when it is processed.
    """
    column = _plain_text(column)
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return [
        value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
        for value in column.to_pylist()
    ]


class _Sink(Datasink[int]):  # type: ignore[misc]
    """Writes a sorted block to a file whose row groups keep groups of records whole.

    The file is named after its first key, so that the files are in sorted order too, and a retried
    task overwrites its own file.
    """

    def __init__(self, job: SortJob) -> None:
        self._job = job
        self.num_rows = 0

    def write(self, blocks: Iterable[pa.Table], ctx: object) -> int:
        tables = [BlockAccessor.for_block(block).to_arrow() for block in blocks]
        tables = [table for table in tables if table.num_rows]
        return sum(map(self._write, tables))

    def on_write_complete(self, write_result: object) -> None:
        self.num_rows = sum(write_result.write_returns)  # type: ignore[attr-defined]

    def _write(self, table: pa.Table) -> int:
        keys = table[_KEY].to_pylist()
        groups = [key[:GROUP_CHARACTERS] for key in keys]
        first = [str(table[name][0].as_py()) for name in SOURCE.names]
        table = self._as_it_was(table)
        name = f"{groups[0]}-{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join(first)).hex}"
        target = Location.of(self._job.target) / f"{name}.parquet"
        sink = pa.BufferOutputStream()  # buffered, so that the whole file can be retried
        with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
            start = 0
            for end in row_group_ends(groups):
                writer.write_table(table.slice(start, end - start), row_group_size=end - start)
                start = end
        target.write(sink.getvalue())
        return int(table.num_rows)

    def _as_it_was(self, table: pa.Table) -> pa.Table:
        """Drop the key and restore the input's own types, which Ray Data may have changed."""
        table = table.drop_columns([_KEY])
        kept = {field.name: field for field in self._job.kept}
        fields = [kept.get(field.name, field) for field in table.schema]
        return table.cast(pa.schema(fields, self._job.kept.metadata))


def _translated(error: Exception) -> BatchfimError:
    """The batchfim error raised in a task, which Ray wraps several times, or a general error."""
    cause: BaseException | None = error
    while cause is not None:
        # Ray's wrapper is an instance of our class too, and its text is the whole traceback.
        if isinstance(cause, BatchfimError) and not isinstance(cause, RayError):
            return type(cause)(str(cause).partition("\nFailed to apply UDF")[0].strip())
        cause = getattr(cause, "cause", None) or cause.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return JobFailed(f"regrouping the input failed: {lines[-1]}")
