"""Every metric that a run exports: dashboard and alerts may name these and no others. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_PREFIX = "ray_"  # Ray's metrics agent puts it before every name
JOB_TAG = "output"  # the job's output path, on every metric
RUN_TAG = "run"  # on all but a worker's own: a counter of an earlier run stays where Ray does


@dataclass(frozen=True)
class Metric:
    """One metric; a name ends in its unit where it has one."""

    name: str
    kind: Kind
    help: str
    tags: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported(self) -> tuple[str, ...]:
        """Names of its series as Prometheus sees them."""
        return tuple(f"{_PREFIX}{self.name}{suffix}" for suffix in _SUFFIXES[self.kind])


ROWS = Metric(
    "batchfim_rows", "counter", "Rows committed by this run: ok, rejected or failed.", ("status",)
)
TOKENS = Metric(
    "batchfim_tokens",
    "counter",
    "Tokens of those rows: prompt = cached + computed; completion, and kept of it; "
    "drafted by speculation, and accepted of those.",
    ("kind",),
)
RECORDS = Metric("batchfim_records", "counter", "Records committed by this run.")
PLANNED_ROWS = Metric("batchfim_planned_rows", "gauge", "Rows this run has to work in all.")
SHARDS = Metric(
    "batchfim_shards",
    "gauge",
    "Shards of this run: waiting, leased, committed or abandoned.",
    ("state",),
)
WORKERS = Metric(
    "batchfim_workers", "gauge", "Workers: wanted, and of these starting or ready.", ("state",)
)
RESTARTS = Metric(
    "batchfim_engine_restarts", "counter", "Workers that were up, were lost and were replaced."
)
IDLE = Metric(
    "batchfim_idle_share", "gauge", "Share of the ready workers' time with no shard in hand."
)
COMMIT = Metric(
    "batchfim_commit_seconds",
    "histogram",
    "To make a part visible and write its marker.",
    boundaries=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
IN_FLIGHT = Metric(
    "batchfim_in_flight_records",
    "gauge",
    "Records handed to a worker's engine and not yet finished.",
    ("worker",),
)
METRICS = (
    *(ROWS, TOKENS, RECORDS, PLANNED_ROWS, SHARDS),
    *(WORKERS, RESTARTS, IDLE, COMMIT, IN_FLIGHT),
)
EXPORTED = frozenset(name for metric in METRICS for name in metric.exported)
