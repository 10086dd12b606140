"""All metrics that a run exports; the dashboard and the alerts may use only these. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_PREFIX = "ray_"  # added to every name by Ray's metrics agent
JOB_TAG = "output"  # the job's output path, on every metric
# On all but the workers' own metrics, as the counters of earlier runs stay while Ray is up.
RUN_TAG = "run"


@dataclass(frozen=True)
class Metric:
    """One metric; its name ends in its unit, if it has one."""

    name: str
    kind: Kind
    help: str
    tags: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported(self) -> tuple[str, ...]:
        """The names of its series in Prometheus."""
        return tuple(f"{_PREFIX}{self.name}{suffix}" for suffix in _SUFFIXES[self.kind])


ROWS = Metric(
    "batchfim_rows", "counter", "Rows committed by this run: ok, rejected or failed.", ("status",)
)
TOKENS = Metric(
    "batchfim_tokens",
    "counter",
    "Tokens of these rows: prompt = cached + computed; completion, and the kept part of it; "
    "drafted by speculative decoding, and the accepted part of it.",
    ("kind",),
)
RECORDS = Metric("batchfim_records", "counter", "Records committed by this run.")
PLANNED_ROWS = Metric("batchfim_planned_rows", "gauge", "Total rows this run has to process.")
SHARDS = Metric(
    "batchfim_shards",
    "gauge",
    "Shards of this run: waiting, leased, committed or abandoned.",
    ("state",),
)
WORKERS = Metric(
    "batchfim_workers", "gauge", "Workers: wanted, and those starting or ready.", ("state",)
)
RESTARTS = Metric(
    "batchfim_engine_restarts", "counter", "Workers that were up, then lost and replaced."
)
IDLE = Metric(
    "batchfim_idle_share", "gauge", "Share of the ready workers' time without a leased shard."
)
COMMIT = Metric(
    "batchfim_commit_seconds",
    "histogram",
    "Seconds to commit a part and its marker.",
    boundaries=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
IN_FLIGHT = Metric(
    "batchfim_in_flight_records",
    "gauge",
    "Records in flight: handed to a worker's engine and not yet finished.",
    ("worker",),
)
METRICS = (
    *(ROWS, TOKENS, RECORDS, PLANNED_ROWS, SHARDS),
    *(WORKERS, RESTARTS, IDLE, COMMIT, IN_FLIGHT),
)
EXPORTED = frozenset(name for metric in METRICS for name in metric.exported)
