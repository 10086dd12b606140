"""Which settings to try next, and whether the best of them is better than chance. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]  # dotted key to value, over the job's own


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting, by its dotted key, and the values to try besides the job's own."""

    key: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class Tried:
    """Settings, and the records/s of each time they ran; None where they failed."""

    settings: Settings
    rates: list[float | None] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        """Of its runs; 0 where one failed."""
        return min((rate or 0.0 for rate in self.rates), default=0.0)

    @property
    def fastest(self) -> float:
        """Of its runs."""
        return max((rate or 0.0 for rate in self.rates), default=0.0)


def search(
    knobs: Sequence[Knob], measure: Callable[[Settings], float | None], repeats: int
) -> Tried:
    """Turn one knob at a time, each from where the one before it was best.

    Of single runs the luckiest wins; so the winner and the job's own settings take turns once more,
    and only a winner whose slowest run beats the fastest of the job's own is one.

    Args:
        knobs: in the order in which they are turned.
        measure: runs with these settings; records/s, or None where they do not work.
        repeats: how often the winner and the job's own settings run again, in turns.

    Returns:
        The best found: the job's own settings unless it was faster each time.
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
