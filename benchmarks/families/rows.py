"""A finished job as a row of the comparison; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from benchmarks.families.pareto import pareto

State = Literal["waiting", "complete", "complete with failed rows", "interrupted", "failed"]
Scores = Mapping[str, Mapping[str, float]]
_TOKENS = ("prompt", "cached", "computed", "completion", "kept")


@dataclass(frozen=True)
class Speed:
    """Speed from a ready engine to the last commit, over all runs together.

    `rows` counts those of runs that ended, since a killed run leaves no times. `start_s`, the mean
    of the engine starts, is not included.
    """

    runs: int
    rows: int
    run_s: float
    start_s: float
    records_per_s: float
    tokens_per_s: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """A model in an order.

    Attributes:
        weights: `dummy` if they are vLLM's random numbers, so that middles mean nothing.
        engines: number of workers times devices per worker.
        rows: counts by status, and of copied and truncated rows.
        tokens: counts by kind; cached and computed tokens add up to the prompt's.
        cost: cost of 1,000 `ok` middles, at `price` per hour and engine, without starts.
        quality: scores by metric, each with `value`, `low`, `high` and `rows`.
        no_quality: why there is none.
        fronts: the Pareto fronts, `speed` or `cost`, that the row is on.
        load: the machine's load average of one minute before the row ran.
    """

    name: str
    model: str
    path: str
    order: str | None
    state: State = "waiting"
    error: str | None = None
    family: str | None = None
    weights: str = "own"
    backend: str | None = None
    engine: str | None = None
    device: str | None = None
    hosts: Sequence[str] = ()
    engines: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    speed: Speed | None = None
    price: float | None = None
    cost: float | None = None
    quality: Scores = field(default_factory=dict)
    no_quality: str | None = None
    fronts: Sequence[str] = ()
    load: float | None = None

    def plain(self) -> dict[str, Any]:
        """The row for JSON."""
        return asdict(self)


def measured(row: Row, summary: Mapping[str, Any], devices: int) -> Row:
    """The row with the figures of its job's `summary.json`.

    Args:
        row: the job's row.
        summary: the summary of a job that ended.
        devices: number of devices per worker.
    """
    speed = speed_of(summary["runs"])
    worked = [run for run in summary["runs"] if run["records"]]
    starts = [start for run in worked for start in run["engines"]]
    engines = devices * max((run["workers"] for run in worked), default=0)
    failed = summary["rows"]["failed"]
    return replace(
        row,
        state="complete with failed rows" if failed else "complete",
        family=summary["model"]["family"],
        order=summary["model"]["order"],
        backend=summary["engine"]["backend"],
        engine=f"{starts[0]['name']} {starts[0]['version']}" if starts else None,
        device=starts[0]["device"] if starts else None,
        engines=engines,
        rows=summary["rows"],
        tokens={name: summary["tokens"][name] for name in _TOKENS},
        speed=speed,
        cost=cost_of(speed, summary["rows"], engines, row.price),
    )


def speed_of(runs: Sequence[Mapping[str, Any]]) -> Speed | None:
    """Speed over a job's runs in `summary.json`; None if no run that ended completed records."""
    worked = [run for run in runs if run["records"] and run["run_s"] > 0]
    if not worked:
        return None
    run_s = sum(run["run_s"] for run in worked)
    return Speed(
        runs=len(worked),
        rows=sum(run["rows"] for run in worked),
        run_s=run_s,
        start_s=sum(run["engine_start_s"] for run in worked) / len(worked),
        records_per_s=sum(run["records"] for run in worked) / run_s,
        tokens_per_s={
            name: sum(run["tokens_per_s"][name] * run["run_s"] for run in worked) / run_s
            for name in _TOKENS
        },
    )


def cost_of(
    speed: Speed | None, rows: Mapping[str, int], engines: int, price: float | None
) -> float | None:
    """Cost of 1,000 `ok` middles; None without a price, a speed or a middle."""
    if speed is None or price is None or not rows["ok"]:
        return None
    middles = speed.rows * rows["ok"] / rows["rows"]
    return price * engines * speed.run_s / 3600 / middles * 1000


def with_fronts(rows: Sequence[Row], metric: str) -> list[Row]:
    """Mark the rows that are on a Pareto front.

    Args:
        rows: all rows.
        metric: the metric of quality.
    """
    fast = pareto([_point(row, metric, _records_per_s(row)) for row in rows])
    cheap = pareto([_point(row, metric, None if row.cost is None else -row.cost) for row in rows])
    return [
        replace(row, fronts=["speed"] * on_fast + ["cost"] * on_cheap)
        for row, on_fast, on_cheap in zip(rows, fast, cheap, strict=True)
    ]


def _records_per_s(row: Row) -> float | None:
    return row.speed.records_per_s if row.speed else None


def _point(row: Row, metric: str, other: float | None) -> tuple[float, float] | None:
    score = row.quality.get(metric)
    return None if score is None or other is None else (score["value"], other)
