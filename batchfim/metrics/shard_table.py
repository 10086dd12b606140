"""What the shards' reports say, as a table: one row for each committed shard. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from batchfim.metrics.report import TIMINGS, ShardReport

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


def shard_table(reports: Sequence[ShardReport]) -> pa.Table:
    """A row for each report, columns `SHARD_SCHEMA`.

    `started_at` is in seconds since 1970, the phases follow one another from there. Counts and the
    sums of the rows' own seconds are of what that attempt worked: of a shard that was retried, the
    rows it worked again, and the seconds in their share of all.
    """
    worked = [report.retried or report for report in reports]
    shares = [
        own.counts.rows / report.counts.rows if report.counts.rows else 0.0
        for own, report in zip(worked, reports, strict=True)
    ]
    columns: dict[str, list[Any]] = {
        name: [getattr(report, name) for report in reports]
        for name in ("shard_id", "run", "worker", "attempt", "started_at", *_PHASES, "size_bytes")
    }
    columns["records"] = [own.records for own in worked]
    columns |= {name: [getattr(own.counts, name) for own in worked] for name in _COUNTS}
    for name in TIMINGS:
        totals = (report.timings[name].total for report in reports)
        columns[name] = [total * share for total, share in zip(totals, shares, strict=True)]
    columns["max_latency_s"] = [report.timings["latency_s"].max for report in reports]
    return pa.table({field.name: columns[field.name] for field in SHARD_SCHEMA}, SHARD_SCHEMA)
