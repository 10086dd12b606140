"""The job's summary: the sum of its shards' reports, and the clock of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from batchfim.metrics.histogram import Histogram
from batchfim.metrics.report import ENDINGS, TIMINGS, Counts, ShardReport

_PHASES = ("read_s", "encode_s", "generate_s", "write_s")
_ROWS = {"rows", "ok", "rejected", "failed", "truncated", "copied"}
_MOST_ERRORS = 20


class EngineStart(BaseModel):
    """One engine that came up."""

    model_config = ConfigDict(frozen=True)

    worker: str
    name: str
    version: str
    device: str
    start_s: float


class RunClock(BaseModel):
    """One run: wall clock in seconds, and what it committed.

    `engine_start_s` is until the first engine was ready, `run_s` from then to the last commit,
    `total_s` the whole run, with what comes before and after.
    """

    model_config = ConfigDict(frozen=True)

    total_s: float = 0.0
    engine_start_s: float = 0.0
    run_s: float = 0.0
    shards: int = 0
    records: int = 0
    counts: Counts = Counts()
    workers: int = 0
    workers_lost: int = 0
    engines: tuple[EngineStart, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says of a run; rates are over `run_s`."""

        def rate(amount: int) -> float | None:
            return amount / self.run_s if self.run_s > 0 else None

        plain = self.model_dump(exclude={"counts"})
        return plain | {
            "rows": self.counts.rows,
            "records_per_s": rate(self.records),
            "tokens_per_s": {name: rate(num) for name, num in _tokens(self.counts).items()},
        }


def summarize(reports: Iterable[ShardReport]) -> dict[str, Any]:
    """Sums and percentiles over every committed shard, from this run and earlier ones.

    The reports are taken one at a time: there may be millions. `work_s` adds up what each phase
    took in each shard; shards overlap, so it is more than a wall clock says.
    """
    num_shards = num_records = 0
    counts = Counts()
    endings: dict[str, Counter[str]] = {name: Counter() for name in ENDINGS}
    errors: Counter[str] = Counter()
    work: Counter[str] = Counter()
    seconds = dict.fromkeys(TIMINGS, Histogram())
    for report in reports:
        num_shards += 1
        num_records += report.records
        counts = Counts.sum([counts, report.counts])
        for name, counted in endings.items():
            counted.update(getattr(report, name))
        errors.update(report.errors)
        work.update({phase.removesuffix("_s"): getattr(report, phase) for phase in _PHASES})
        for name in TIMINGS:
            seconds[name] = Histogram.sum([seconds[name], report.timings[name]])
    return {
        "shards": num_shards,
        "records": num_records,
        "rows": counts.model_dump(include=_ROWS),
        "tokens": _tokens(counts),
        **{name: dict(counted) for name, counted in endings.items()},
        "errors": dict(errors.most_common(_MOST_ERRORS)),
        "seconds": {name: histogram.summary() for name, histogram in seconds.items()},
        "work_s": dict(work),
    }


def _tokens(counts: Counts) -> dict[str, int]:
    return {
        "prompt": counts.prompt_tokens,
        "cached": counts.cached_tokens,
        "computed": counts.computed_tokens,
        "completion": counts.completion_tokens,
        "kept": counts.kept_tokens,
    }
