"""What is killed, and when: decided by the seed before anything runs. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

WEIGHTS = {"driver": 1, "actor": 4, "hang": 1, "engine": 4, "storage": 2}
_MOST_PARTS_BETWEEN = 3
_MEAN_DELAY_S = 0.5


@dataclass(frozen=True)
class Kill:
    """One blow.

    Attributes:
        target: a key of `WEIGHTS`.
        at_parts: it falls when so many parts are visible.
        delay_s: and so much later, to fall anywhere between two parts.
        pick: 0 to 1, which of several victims.
    """

    target: str
    at_parts: int
    delay_s: float
    pick: float


def draw_kills(seed: int, number: int, targets: Sequence[str]) -> list[Kill]:
    """Kills in order of progress; some fall on a run that has only just begun.

    Each target is hit at least once where there are kills enough.
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
