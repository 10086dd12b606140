"""A segment: the markers of some thousand shards in one Parquet file.

It has the columns that the audit needs, each shard's report as JSON, and, in the file's metadata,
the totals of these reports, so that a summary need not read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from batchfim.errors import StorageError
from batchfim.metrics.done import DONE_SCHEMA, Done, done_table
from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.shard_table import shard_table
from batchfim.metrics.totals import Totals
from batchfim.shards import short_digest
from batchfim.storage.location import Location

_TOTALS = b"batchfim.totals"
_DIGEST = b"batchfim.totals.digest"  # Parquet's own checksums leave the metadata out


def write_segment(location: Location, reports: Sequence[ShardReport]) -> None:
    """Write the segment of some shards; a reader sees either all of it or the previous one."""
    texts = [report.model_dump_json() for report in reports]
    table = done_table(reports).append_column("report", pa.array(texts, pa.string()))
    totals = Totals.sum(map(Totals.of, reports))
    location.write(segment_bytes(table, totals))


def segment_bytes(table: pa.Table, totals: Totals) -> bytes:
    """The bytes of a segment's file, for a table with `DONE_SCHEMA` and the column `report`."""
    sink = pa.BufferOutputStream()
    text = totals.model_dump_json()
    described = table.replace_schema_metadata({_TOTALS: text, _DIGEST: short_digest(text)})
    pq.write_table(described, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def read_segment(location: Location) -> Done:
    """Read the done shards of a segment, without their reports.

    Raises:
        StorageError: the file is damaged, or its stored totals do not match its rows.
    """
    table = _read(location, DONE_SCHEMA.names)
    try:
        metadata = table.schema.metadata or {}
        text = metadata[_TOTALS].decode()
        if metadata[_DIGEST].decode() != short_digest(text):
            raise ValueError("another digest")
        totals = Totals.model_validate_json(text)
        _check(table, totals)
    except (ValidationError, KeyError, ValueError):
        raise _damaged(location, "stored totals are missing or do not match the rows") from None
    return Done(table.replace_schema_metadata(None), totals)


def read_reports(location: Location, shard_ids: pa.Array) -> list[ShardReport]:
    """Read the reports of some of a segment's shards."""
    texts = _texts(location, shard_ids)
    try:
        return [ShardReport.model_validate_json(text) for text in texts]
    except ValidationError as error:
        raise _damaged(location, error.errors()[0]["msg"]) from None


def read_shards(location: Location, shard_ids: pa.Array) -> pa.Table:
    """Read the reports of some of a segment's shards as a table with columns `PARTS_SCHEMA`."""
    texts = _texts(location, shard_ids)
    try:
        return shard_table(texts)
    except ValueError as error:
        raise _damaged(location, str(error)) from None


def _texts(location: Location, shard_ids: pa.Array) -> list[str]:
    table = _read(location, ["shard_id", "report"])
    reports = table["report"].filter(pc.is_in(table["shard_id"], shard_ids))
    return list(reports.to_pylist())


def _read(location: Location, columns: Iterable[str]) -> pa.Table:
    names = list(columns)
    try:
        with pa.PythonFile(location.open(), mode="r") as file:
            segment = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
            table = segment.read(names, use_threads=False)  # see `arrow.reader`
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(location, str(error)) from None
    if table.column_names != names or any(column.null_count for column in table.columns):
        raise _damaged(location, "a column is missing or has nulls")
    return table


def _check(table: pa.Table, totals: Totals) -> None:
    if not table.schema.equals(DONE_SCHEMA):
        raise ValueError("other columns")
    sums = [pc.sum(table[name]).as_py() or 0 for name in ("rows", "ok", "rejected", "failed")]
    counts = totals.counts
    if [table.num_rows, *sums] != [
        totals.shards,
        counts.rows,
        counts.ok,
        counts.rejected,
        counts.failed,
    ]:
        raise ValueError("another sum")


def _damaged(location: Location, problem: str) -> StorageError:
    return StorageError(
        f"{location.path}: cannot be read as finished shards of this version ({problem}); restore "
        "it, or delete it to run its shards again"
    )
