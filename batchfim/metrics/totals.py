"""Totals over shards, the only source of what `summary.json` and `batchfim status` call done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from batchfim.metrics.histogram import Histogram
from batchfim.metrics.shard_report import (
    ENDINGS,
    PHASES,
    SIZES,
    TIMINGS,
    Counts,
    ShardReport,
    most_common,
)

_ROWS = {"rows", "ok", "rejected", "failed", "truncated", "normalized", "copied"}
_ERRORS_SHOWN = 20
_ERRORS_KEPT = 1000


class Totals(BaseModel):
    """The sum of some shards' reports; totals add up without losing records in histograms.

    `work_s` sums the time of each phase over all shards. Shards overlap, so it exceeds wall-clock
    time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = 0
    records: int = 0
    counts: Counts = Counts()
    endings: dict[str, dict[str, int]] = {name: {} for name in ENDINGS}
    errors: dict[str, int] = {}
    timings: dict[str, Histogram] = dict.fromkeys(TIMINGS, Histogram())
    sizes: dict[str, Histogram] = dict.fromkeys(SIZES, Histogram())
    work_s: dict[str, float] = {}

    @classmethod
    def of(cls, report: ShardReport) -> Totals:
        """The totals of one shard."""
        return cls(
            shards=1,
            records=report.records,
            counts=report.counts,
            endings={name: getattr(report, name) for name in ENDINGS},
            errors=report.errors,
            timings=report.timings,
            sizes=dict.fromkeys(SIZES, Histogram()) | report.sizes,
            work_s={phase.removesuffix("_s"): getattr(report, phase) for phase in PHASES},
        )

    @classmethod
    def sum(cls, parts: Iterable[Totals]) -> Totals:
        """The sum of several totals."""
        parts = list(parts)
        errors = _added(part.errors for part in parts)
        return cls(
            shards=sum(part.shards for part in parts),
            records=sum(part.records for part in parts),
            counts=Counts.sum(part.counts for part in parts),
            endings={name: _added(part.endings[name] for part in parts) for name in ENDINGS},
            errors=most_common(errors, _ERRORS_KEPT),
            timings={name: Histogram.sum(part.timings[name] for part in parts) for name in TIMINGS},
            sizes={name: Histogram.sum(part.sizes[name] for part in parts) for name in SIZES},
            work_s=_added(part.work_s for part in parts),
        )

    def summary(self) -> dict[str, Any]:
        """The entries of `summary.json` that cover all runs together.

        `done` rows are `ok` or `rejected`; `failed` rows are still to be run again.
        """
        rows = self.counts.model_dump(include=_ROWS)
        return {
            "shards": self.shards,
            "records": self.records,
            "rows": rows | {"done": self.counts.done},
            "tokens": tokens(self.counts),
            "preemptions": self.counts.preemptions,
            **self.endings,
            "errors": most_common(self.errors, _ERRORS_SHOWN),
            "seconds": {name: histogram.summary() for name, histogram in self.timings.items()},
            "sizes": {name: histogram.summary() for name, histogram in self.sizes.items()},
            "work_s": self.work_s,
        }


def tokens(counts: Counts) -> dict[str, int]:
    """Token counts by kind, under the names used in all summaries."""
    return {
        "prompt": counts.prompt_tokens,
        "cached": counts.cached_tokens,
        "computed": counts.computed_tokens,
        "completion": counts.completion_tokens,
        "kept": counts.kept_tokens,
        "drafted": counts.drafted_tokens,
        "accepted": counts.accepted_tokens,
    }


def _added(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
