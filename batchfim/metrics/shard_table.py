"""The shard reports as a table with one row per committed shard. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from batchfim.arrow import reader
from batchfim.metrics.shard_report import PHASES, TIMINGS

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
        *(pa.field(name, pa.float64()) for name in PHASES),
        pa.field("records", pa.int64()),
        *(pa.field(name, pa.int64()) for name in _COUNTS),
        *(pa.field(name, pa.float64()) for name in TIMINGS),
        pa.field("max_latency_s", pa.float64()),
        pa.field("size_bytes", pa.int64()),
    ]
)
_OWN = ("records", *_COUNTS, *TIMINGS)  # what a retry reports for the rows it processed
_RETRIED = pa.struct([SHARD_SCHEMA.field(name) for name in _OWN])
PARTS_SCHEMA = SHARD_SCHEMA.append(pa.field("retried", _RETRIED))
_COUNTS_TYPE = pa.struct([(name, pa.int64()) for name in _COUNTS])
_TIMING_TYPE = pa.struct([("total", pa.float64()), ("max", pa.float64())])
_TOP = ("shard_id", "run", "worker", "attempt", "started_at", *PHASES, "records", "size_bytes")
# The fields of a report's JSON that are read; the rest, mostly histogram buckets, is skipped.
_READ = pa.schema(
    [
        *(SHARD_SCHEMA.field(name) for name in _TOP),
        pa.field("counts", _COUNTS_TYPE),
        pa.field(
            "retried",
            pa.struct(
                [
                    ("records", pa.int64()),
                    ("counts", _COUNTS_TYPE),
                    ("attempt", pa.int32()),
                    ("timings", pa.struct([(name, pa.float64()) for name in TIMINGS])),
                ]
            ),
        ),
        pa.field("timings", pa.struct([(name, _TIMING_TYPE) for name in TIMINGS])),
    ]
)


def shard_table(reports: Sequence[str]) -> pa.Table:
    """A table with columns `PARTS_SCHEMA` and one row per report, which adds up to the summary.

    `started_at` is in seconds since 1970. The phases follow one another from there; `encode_s`
    includes the wait for the encoder. Phases are those of the last attempt; counts and the sums of
    the rows' own seconds cover all rows of the part. `retried` has the same for the rows that this
    attempt processed if the others already existed, and is null otherwise.

    Args:
        reports: `ShardReport`s as JSON, the stored form; a million of them take some seconds this
            way, and minutes as objects.

    Raises:
        ValueError: one of them is not a valid report.
    """
    if not reports:
        return PARTS_SCHEMA.empty_table()
    parsed = _parsed(reports)
    columns = {name: parsed[name] for name in _TOP}
    columns |= {name: _field(parsed["counts"], name) for name in _COUNTS}
    columns |= {name: _field(parsed["timings"], name, "total") for name in TIMINGS}
    columns["attempt"] = pc.coalesce(_field(parsed["retried"], "attempt"), parsed["attempt"])
    columns["max_latency_s"] = _field(parsed["timings"], "latency_s", "max")
    columns["retried"] = _retried(parsed["retried"])
    table = pa.table({field.name: columns[field.name] for field in PARTS_SCHEMA}, PARTS_SCHEMA)
    missing = [name for name in SHARD_SCHEMA.names if table[name].null_count]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return table


def worked(parts: pa.Table) -> pa.Table:
    """What each attempt itself processed, with columns `SHARD_SCHEMA`.

    Args:
        parts: a table with columns `PARTS_SCHEMA`.
    """
    retried = parts["retried"]
    if retried.null_count == len(retried):
        return parts.drop_columns("retried")
    own = {name: pc.coalesce(_field(retried, name), parts[name]) for name in _OWN}
    return pa.table({name: own.get(name, parts[name]) for name in SHARD_SCHEMA.names}, SHARD_SCHEMA)


def _parsed(reports: Sequence[str]) -> pa.Table:
    data = "\n".join(reports).encode()
    return arrow_json.read_json(
        reader(data),
        read_options=arrow_json.ReadOptions(block_size=len(data) + 1, use_threads=False),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=_READ, unexpected_field_behavior="ignore"
        ),
    )


def _retried(retried: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if retried.null_count == len(retried):
        return pa.nulls(len(retried), _RETRIED)
    own = {name: _field(retried, "counts", name) for name in _COUNTS}
    own |= {name: _field(retried, "timings", name) for name in TIMINGS}
    own["records"] = _field(retried, "records")
    columns = pc.make_struct(*(own[name] for name in _OWN), field_names=_OWN)
    return pc.if_else(pc.is_valid(retried), columns, pa.scalar(None, columns.type))


def _field(column: pa.ChunkedArray, *names: str) -> pa.ChunkedArray:
    return pc.struct_field(column, list(names))
