"""What the shards' reports say, as a table: one row for each committed shard. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from batchfim.arrow_memory import reader
from batchfim.metrics.report import TIMINGS

_PHASES = ("read_s", "encode_s", "generate_s", "write_s")
_COUNTS = (
    "rows",
    "ok",
    "rejected",
    "failed",
    "copied",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "kept_tokens",
)
SHARD_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.string()),
        pa.field("run", pa.string()),
        pa.field("worker", pa.string()),
        pa.field("attempt", pa.int32()),
        pa.field("started_at", pa.float64()),
        *(pa.field(name, pa.float64()) for name in _PHASES),
        pa.field("records", pa.int64()),
        *(pa.field(name, pa.int64()) for name in _COUNTS),
        *(pa.field(name, pa.float64()) for name in TIMINGS),
        pa.field("max_latency_s", pa.float64()),
        pa.field("size_bytes", pa.int64()),
    ]
)
_COUNTS_TYPE = pa.struct([(name, pa.int64()) for name in _COUNTS])
_TIMING_TYPE = pa.struct([("total", pa.float64()), ("max", pa.float64())])
_TOP = ("shard_id", "run", "worker", "attempt", "started_at", *_PHASES, "records", "size_bytes")
# What of a report's JSON is read; the rest of it, histograms' buckets mostly, is passed over.
_READ = pa.schema(
    [
        *(SHARD_SCHEMA.field(name) for name in _TOP),
        pa.field("counts", _COUNTS_TYPE),
        pa.field("retried", pa.struct([("records", pa.int64()), ("counts", _COUNTS_TYPE)])),
        pa.field("timings", pa.struct([(name, _TIMING_TYPE) for name in TIMINGS])),
    ]
)


def shard_table(reports: Sequence[str]) -> pa.Table:
    """A row for each report, columns `SHARD_SCHEMA`.

    `started_at` is in seconds since 1970, the phases follow one another from there, `encode_s` with
    the wait for the encoder. Counts and the sums of the rows' own seconds are of what that attempt
    worked: of a shard that was retried, the rows it worked again, and the seconds in their share of
    all.

    Args:
        reports: each a `ShardReport` as JSON, the form they are stored in; a million of them take
            some seconds so, and minutes as objects.

    Raises:
        ValueError: one is no such report.
    """
    if not reports:
        return SHARD_SCHEMA.empty_table()
    told = _parsed(reports)
    own, whole = _worked(told), _field(told["counts"], "rows")
    share = pc.if_else(
        pc.equal(whole, 0),
        0.0,
        pc.divide(pc.cast(own["rows"], pa.float64()), pc.max_element_wise(whole, 1)),
    )
    columns = {name: told[name] for name in _TOP} | own
    for name in TIMINGS:
        columns[name] = pc.multiply(_field(told["timings"], name, "total"), share)
    columns["max_latency_s"] = _field(told["timings"], "latency_s", "max")
    table = pa.table({field.name: columns[field.name] for field in SHARD_SCHEMA}, SHARD_SCHEMA)
    missing = [name for name in table.column_names if table[name].null_count]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return table


def _parsed(reports: Sequence[str]) -> pa.Table:
    data = "\n".join(reports).encode()
    told = arrow_json.read_json(
        reader(data),
        read_options=arrow_json.ReadOptions(block_size=len(data) + 1, use_threads=False),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=_READ, unexpected_field_behavior="ignore"
        ),
    )
    for name, unknown in (("run", ""), ("started_at", 0.0)):
        place = told.schema.get_field_index(name)
        told = told.set_column(place, name, pc.fill_null(told[name], unknown))
    return told


def _worked(told: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The counts of what each attempt worked itself."""
    retried = told["retried"]
    of_retried = {name: _field(retried, "counts", name) for name in _COUNTS}
    of_all = {name: _field(told["counts"], name) for name in _COUNTS}
    counts = {name: pc.coalesce(of_retried[name], of_all[name], 0) for name in _COUNTS}
    return counts | {"records": pc.coalesce(_field(retried, "records"), told["records"])}


def _field(column: pa.ChunkedArray, *names: str) -> pa.ChunkedArray:
    return pc.struct_field(column, list(names))
