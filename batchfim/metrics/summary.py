"""A run's entry in `summary.json`: its wall-clock times and what it committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from batchfim.metrics.shard_report import Counts
from batchfim.metrics.totals import tokens


class EngineStart(BaseModel):
    """An engine that came up in `start_s`, and was ready `ready_s` after the start of the run."""

    model_config = ConfigDict(frozen=True)

    worker: str
    host: str = ""
    name: str
    version: str
    device: str
    dtype: str
    start_s: float
    ready_s: float


class RunEntry(BaseModel):
    """One run: its wall-clock times in seconds, and what it committed.

    `run` is its id in shard reports, `started_at` when it began, in seconds since 1970.
    `engine_start_s` is the time until the first engine was ready, `run_s` from then to the last
    commit, `total_s` the whole run with what comes before and after, and `regroup_s` the part of it
    spent sorting for `planning.regroup`. `workers` is the number requested, `worker_s` the summed
    time for which those that came up were ready, and `idle_s` the part of it without a shard.
    `last_loss` names the last of `workers_lost`, with the cause.
    """

    model_config = ConfigDict(frozen=True)

    run: str = ""
    started_at: float = 0.0
    total_s: float = 0.0
    regroup_s: float = 0.0
    engine_start_s: float = 0.0
    run_s: float = 0.0
    worker_s: float = 0.0
    idle_s: float = 0.0
    shards: int = 0
    records: int = 0
    counts: Counts = Counts()
    workers: int = 0
    workers_lost: int = 0
    last_loss: str | None = None
    engines: tuple[EngineStart, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The run's entry in `summary.json`, with rates over `run_s`."""

        def rate(amount: int) -> float | None:
            return amount / self.run_s if self.run_s > 0 else None

        plain = self.model_dump(exclude={"counts"})
        return plain | {
            "rows": self.counts.rows,
            "records_per_s": rate(self.records),
            "tokens_per_s": {name: rate(num) for name, num in tokens(self.counts).items()},
        }


def lost_text(run: Mapping[str, Any], *, with_last: bool = True) -> str:
    """How many workers a run lost, and why it lost the last; empty if it lost none.

    Args:
        run: its entry in `summary.json`; may be empty.
        with_last: name the last and the cause.
    """
    if not run.get("workers_lost"):
        return ""
    last = run.get("last_loss") if with_last else None
    return f"workers lost: {run['workers_lost']:,}" + (f", the last {last}" if last else "")


def starting_s(run: Mapping[str, Any]) -> float:
    """The summed seconds that the engines of a run took to start.

    Args:
        run: its entry in `summary.json`.
    """
    return float(sum(engine["start_s"] for engine in run["engines"]))
