"""Count the work that kills cost, from the leases that the driver last reported before each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_IN_HAND = re.compile(r"\d+ workers, (\d+) shards in hand")


@dataclass
class Redone:
    """Leases that hits may have cost, counted as whole shards.

    A killed driver costs all leases; a worker costs at most the leases that it may hold at once,
    and nothing while no worker is up.

    Attributes:
        in_hand: number of shards leased to a worker at once.
        workers: number of workers of a run.
    """

    in_hand: int
    workers: int
    leases: int = 0
    bound: int = 0
    _most: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        one = self.in_hand
        self._most = {
            "driver": one * self.workers,
            "actor": one,
            "engine": one,
            "hang": one,
            "storage": 0,
        }

    def hit(self, target: str, said: str) -> None:
        """Count a hit.

        Args:
            target: what was hit.
            said: output of the run's driver so far, whose last progress line counts.
        """
        most = self._most[target]
        leased = _IN_HAND.findall(said)
        self.leases += min(most, int(leased[-1])) if leased else 0
        self.bound += most

    def summary(self, num_shards: int) -> dict[str, float]:
        """Summarize; `fraction` is lost leases ÷ shards, and its bound assumes full leases."""
        return {
            "leases_lost": self.leases,
            "fraction": round(self.leases / num_shards, 3),
            "bound_fraction": round(self.bound / num_shards, 3),
        }
