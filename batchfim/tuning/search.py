"""Choose the settings to try, and decide whether the best beats the job's own. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]  # dotted key to value, overriding the job's own


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting by its dotted key, with the values to try besides the job's own."""

    key: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class Tried:
    """Settings with the records/s of each of their runs, None for a run that failed."""

    settings: Settings
    rates: list[float | None] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        """The records/s of its slowest run, 0 if one failed."""
        return min((rate or 0.0 for rate in self.rates), default=0.0)

    @property
    def fastest(self) -> float:
        """The records/s of its fastest run."""
        return max((rate or 0.0 for rate in self.rates), default=0.0)


def search(
    knobs: Sequence[Knob], measure: Callable[[Settings], float | None], repeats: int
) -> Tried:
    """Find the best settings, turning one knob at a time from the best value of the previous one.

    Among single runs the luckiest wins. So the winner and the job's own settings run again in
    turns, and the winner counts only if its slowest run beats the fastest of the job's own.

    Args:
        knobs: the knobs, in the order in which they are turned.
        measure: runs with these settings and returns records/s, or None if they do not work.
        repeats: how often the winner and the job's own settings run again, in turns.

    Returns:
        The best settings found: the job's own, unless the winner was faster each time.
    """

    def run(tried: Tried) -> Tried:
        tried.rates.append(measure(tried.settings))
        return tried

    own = best = run(Tried({}))
    for knob in knobs:
        start = best.settings
        turned = [run(Tried({**start, knob.key: value})) for value in knob.values]
        best = max([best, *turned], key=lambda tried: tried.fastest)
    if best is own:
        return own
    for _ in range(repeats):
        run(own)
        run(best)
    return best if best.slowest > own.fastest else own
