"""A summary's figures by name, for the report and `batchfim compare`; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batchfim.metrics.summary import starting_s

Unit = Literal["count", "rate", "share", "s", "hours"]
Number = int | float | None
_TEXTS: dict[Unit, Callable[[float], str]] = {
    "count": lambda value: f"{value:,.0f}",
    "rate": lambda value: f"{value:,.1f}",
    "share": lambda value: f"{value:.1%}",
    "s": lambda value: f"{value:,.1f} s" if value >= 10 else f"{value:.4f} s",
    "hours": lambda value: f"{value:,.3f} h",
}


@dataclass(frozen=True)
class Figure:
    """One figure; its key is its path in `summary.json`, or a name if it is computed."""

    key: str
    label: str
    unit: Unit
    value: Number

    @property
    def text(self) -> str:
        return "-" if self.value is None else _TEXTS[self.unit](self.value)


def figures(summary: Mapping[str, Any]) -> list[Figure]:
    """A job's figures; speeds and the wall clock cover all runs together."""
    worked = [run for run in summary["runs"] if run["records"]]
    total_s = sum(run["total_s"] for run in summary["runs"])
    last = worked[-1] if worked else {}
    view = {**summary, "run": last, "speed": _speeds(worked), "total_s": total_s}
    return [
        *(Figure(key, label, unit, _at(view, key)) for key, (label, unit) in _PLAIN.items()),
        Figure("cached share", "prompt tokens from the cache", "share", cached_share(summary)),
        Figure("accepted share", "drafted tokens accepted", "share", _accepted_share(summary)),
        Figure("worker hours", "worker hours, all runs", "hours", worker_hours(summary["runs"])),
    ]


def cached_share(summary: Mapping[str, Any]) -> float | None:
    """Share of prompt tokens that the engine took from its cache; None without prompts."""
    tokens = summary["tokens"]
    return tokens["cached"] / tokens["prompt"] if tokens["prompt"] else None


def _speeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, Number]:
    """Records and tokens of each kind that these runs processed, per second of their `run_s`."""
    run_s = sum(run["run_s"] for run in runs)
    if not run_s:
        return {}
    names = {name for run in runs for name in run["tokens_per_s"]}
    tokens = {
        name: sum((run["tokens_per_s"].get(name) or 0.0) * run["run_s"] for run in runs)
        for name in names
    }
    amounts = tokens | {"records": sum(run["records"] for run in runs)}
    return {name: amount / run_s for name, amount in amounts.items()}


def _accepted_share(summary: Mapping[str, Any]) -> float | None:
    tokens = summary["tokens"]
    return tokens["accepted"] / tokens["drafted"] if tokens["drafted"] else None


def worker_hours(runs: list[Mapping[str, Any]]) -> float:
    """Hours during which engines started or were ready, without a run's work before and after."""
    return float(sum(starting_s(run) + run["worker_s"] for run in runs)) / 3600


_PLAIN: dict[str, tuple[str, Unit]] = {
    "records": ("records", "count"),
    "shards": ("shards", "count"),
    "rows.ok": ("rows ok", "count"),
    "rows.rejected": ("rows rejected", "count"),
    "rows.failed": ("rows failed", "count"),
    "rows.copied": ("rows copied", "count"),
    "rows.truncated": ("rows truncated", "count"),
    "tokens.prompt": ("prompt tokens", "count"),
    "tokens.computed": ("prompt tokens computed", "count"),
    "tokens.completion": ("completion tokens", "count"),
    "tokens.kept": ("completion tokens kept", "count"),
    "preemptions": ("preemptions", "count"),
    "speed.records": ("records/s, all runs", "rate"),
    "speed.prompt": ("prompt tokens/s, all runs", "rate"),
    "speed.computed": ("computed tokens/s, all runs", "rate"),
    "speed.completion": ("completion tokens/s, all runs", "rate"),
    "run.workers": ("workers, last run", "count"),
    "run.engine_start_s": ("engine start, last run", "s"),
    "total_s": ("wall clock, all runs", "s"),
    "seconds.ttft_s.p50": ("TTFT p50", "s"),
    "seconds.ttft_s.p99": ("TTFT p99", "s"),
    "seconds.tpot_s.p50": ("TPOT p50", "s"),
    "seconds.latency_s.p50": ("latency p50", "s"),
    "seconds.latency_s.p99": ("latency p99", "s"),
}


def _at(tree: Mapping[str, Any], key: str) -> Number:
    found: Any = tree
    for part in key.split("."):
        found = (found or {}).get(part)
    return found  # type: ignore[no-any-return]
