"""Draw what is killed and when from the seed, before anything runs; pure functions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

WEIGHTS = {"driver": 1, "actor": 4, "hang": 1, "engine": 4, "storage": 2}
_MOST_PARTS_BETWEEN = 3
_MEAN_DELAY_S = 0.5


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        target: a key of `WEIGHTS`.
        at_parts: number of visible parts at which it happens.
        delay_s: additional delay, so that it may happen anywhere between two parts.
        pick: 0 to 1, selects one of several victims.
    """

    target: str
    at_parts: int
    delay_s: float
    pick: float


def draw_kills(seed: int, number: int, targets: Sequence[str]) -> list[Kill]:
    """Draw kills in order of progress; some hit a run that has only just begun.

    Each target is hit at least once if there are enough kills.
    """
    rng = random.Random(seed)
    names = list(targets)[:number]
    weights = [WEIGHTS[name] for name in targets]
    names += rng.choices(targets, weights, k=number - len(names))
    rng.shuffle(names)
    kills, parts = [], 0
    for name in names:
        parts += rng.randint(0, _MOST_PARTS_BETWEEN)
        kills.append(Kill(name, parts, rng.expovariate(1 / _MEAN_DELAY_S), rng.random()))
    return kills
