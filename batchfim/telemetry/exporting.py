"""Export a run's state as metrics of Ray's agent, which Prometheus scrapes."""

from __future__ import annotations

from typing import Any

from ray.util import metrics as ray_metrics

from batchfim.metrics.run_state import RunState
from batchfim.metrics.totals import tokens
from batchfim.telemetry import table
from batchfim.telemetry.table import JOB_TAG, RUN_TAG, Metric


def open_metric(metric: Metric, output: str, run: str | None = None) -> Any:
    """Create the metric in Ray, tagged with the job, and with the run if given.

    Call in a process that is connected to Ray.
    """
    given = {JOB_TAG: output} | ({RUN_TAG: run} if run else {})
    tags = (*given, *metric.tags)
    if metric.kind == "histogram":
        opened = ray_metrics.Histogram(metric.name, metric.help, list(metric.boundaries), tags)
    else:
        kind = ray_metrics.Counter if metric.kind == "counter" else ray_metrics.Gauge
        opened = kind(metric.name, metric.help, tags)
    return opened.set_default_tags(given)


class MetricsExporter:
    """Sets the metrics of `telemetry.table` from the driver's state, except the workers' own."""

    def __init__(self, output: str, run: str, planned_rows: int) -> None:
        self._metrics = {
            metric: open_metric(metric, output, run)
            for metric in table.METRICS
            if metric is not table.IN_FLIGHT
        }
        self._counted: dict[tuple[Metric, str], int] = {}
        self._planned_rows = planned_rows

    def update(self, state: RunState) -> None:
        # Gauges are set each time, even if unchanged: Ray's agent drops one that was not set for
        # two of its report intervals (OpenTelemetryMetricRecorder), but keeps counters.
        self._set(table.PLANNED_ROWS, {"": self._planned_rows})
        counts = state.counts
        rows = {"ok": counts.ok, "rejected": counts.rejected, "failed": counts.failed}
        self._count(table.ROWS, rows)
        self._count(table.TOKENS, tokens(counts))
        self._count(table.RECORDS, {"": state.records})
        self._count(table.RESTARTS, {"": state.num_lost})
        self._set(table.SHARDS, state.shards)
        workers = {"starting": state.num_starting, "ready": state.num_ready}
        self._set(table.WORKERS, workers | {"wanted": state.num_wanted})
        self._set(table.IDLE, {"": state.idle_share})
        for commit_s in state.commits_s:
            self._metrics[table.COMMIT].observe(commit_s)

    def _count(self, metric: Metric, totals: dict[str, int]) -> None:
        """Increase a counter to these totals, given by tag value."""
        for value, total in totals.items():
            more = total - self._counted.get((metric, value), 0)
            if more:
                self._metrics[metric].inc(more, _tags(metric, value))
                self._counted[metric, value] = total

    def _set(self, metric: Metric, levels: dict[str, int] | dict[str, float]) -> None:
        for value, level in levels.items():
            self._metrics[metric].set(level, _tags(metric, value))


def _tags(metric: Metric, value: str) -> dict[str, str]:
    return dict.fromkeys(metric.tags, value)
