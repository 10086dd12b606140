"""The job's summary: the sum of its shards' reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from batchfim.metrics.histogram import Histogram
from batchfim.metrics.report import ENDINGS, TIMINGS, Counts, ShardReport


class RunClock(BaseModel):
    """One run's wall clock in seconds, and what it worked on; earlier runs are not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_s: float
    engine_start_s: float
    run_s: float
    shards: int
    counts: Counts
    workers: int

    @classmethod
    def idle(cls) -> RunClock:
        """A run that found everything done."""
        return cls(total_s=0, engine_start_s=0, run_s=0, shards=0, counts=Counts(), workers=0)


def summarize(
    reports: Sequence[ShardReport], run: RunClock, versions: dict[str, str], model: dict[str, Any]
) -> dict[str, Any]:
    """What `_batchfim/summary.json` holds.

    Args:
        reports: every committed shard of the job, from this run and earlier ones.
        run: the clock of this run; rates are over its own rows and its own `run_s`.
        versions: library versions.
        model: what was run: path, family, order, digest.
    """
    counts = Counts.sum(report.counts for report in reports)
    return {
        "shards": len(reports),
        "records": sum(report.records for report in reports),
        "rows": {
            key: getattr(counts, key) for key in ("rows", "ok", "rejected", "failed", "truncated")
        },
        "tokens": _tokens(counts),
        **{name: _total(getattr(report, name) for report in reports) for name in ENDINGS},
        "errors": dict(_total(report.errors for report in reports).most_common(20)),
        "seconds": {
            name: Histogram.sum(report.timings[name] for report in reports).summary()
            for name in TIMINGS
        },
        "phases_s": {
            "engine_start": run.engine_start_s,
            "run": run.run_s,
            **{
                phase: sum(getattr(report, f"{phase}_s") for report in reports)
                for phase in ("read", "encode", "generate", "write")
            },
        },
        "this_run": _this_run(run),
        "model": model,
        "versions": versions,
    }


def _tokens(counts: Counts) -> dict[str, int]:
    return {
        "prompt": counts.prompt_tokens,
        "cached": counts.cached_tokens,
        "computed": counts.computed_tokens,
        "completion": counts.completion_tokens,
        "kept": counts.kept_tokens,
    }


def _this_run(run: RunClock) -> dict[str, Any]:
    def rate(amount: int) -> float | None:
        return amount / run.run_s if run.run_s > 0 else None

    return {
        "total_s": run.total_s,
        "workers": run.workers,
        "shards": run.shards,
        "rows": run.counts.rows,
        "rows_per_s": rate(run.counts.rows),
        "tokens_per_s": {name: rate(num) for name, num in _tokens(run.counts).items()},
    }


def _total(parts: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total
