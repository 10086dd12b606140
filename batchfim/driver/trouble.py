"""Tells a worker that fails whatever it is given from shards that fail wherever they go. Pure.

A worker on a bad machine (an old copy of the input, no threads left, a storage that it alone cannot
reach) fails at once, so it is always free and would take one shard after another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_IN_DOUBT = 4  # distinct shards failed in a row
_PAUSE_S = 30.0


@dataclass(slots=True)
class _Failures:
    """A worker's failures since it last completed a shard."""

    leases_before_first: int  # leases given to any worker before the first failure
    leases_before_last: int = 0
    last_s: float = 0.0
    shards: set[str] = field(default_factory=set)
    refuted: bool = False  # another worker completed one of the shards

    @property
    def in_doubt(self) -> bool:
        return len(self.shards) >= _IN_DOUBT


class WorkerTrouble:
    """Knows, of each worker, the shards that it failed in a row, and who completed them since.

    A worker in doubt, `_IN_DOUBT` shards failed in a row, gets its next only after another worker
    completed one leased later. It is to blame if it fails again although another completed a shard
    that it had failed: an outage that ended in between is nobody's fault.

    For example, w1 fails the shards a, b, c and d: it is in doubt, and d goes to w2 next. If w2
    completes d, w1 gets one more shard; if it fails that one, too, it is to blame. If w2 fails d as
    well, the shards or their storage may be bad, and w1 is not blamed.
    """

    def __init__(self) -> None:
        self._num_leases = 0
        self._latest = 0  # number of the latest lease that was completed
        self._given: dict[str, dict[str, int]] = {}  # numbers of leases, by worker and shard
        self._failures: dict[str, _Failures] = {}
        self._failed_by: dict[str, set[str]] = {}  # workers by shard

    def leased(self, worker: str, shard: str) -> None:
        """A worker is given a shard."""
        self._num_leases += 1
        self._given.setdefault(worker, {})[shard] = self._num_leases

    def completed(self, worker: str, shard: str) -> None:
        """A worker completed a shard, and not every row of it failed."""
        self._latest = max(self._latest, self._given.get(worker, {}).pop(shard, 0))
        self._failures.pop(worker, None)
        for other in self._failed_by.pop(shard, ()):
            if other in self._failures:
                self._failures[other].refuted = True

    def failed(self, worker: str, shard: str, now_s: float, *, is_done: bool = False) -> bool:
        """A worker failed a shard; whether that is the worker's own fault.

        Args:
            worker: who failed it.
            shard: its id.
            now_s: seconds on any clock that only goes forward.
            is_done: nobody else gets the shard, as its rows are written as failed. That others
                complete what they are given speaks against the worker then.
        """
        self._given.get(worker, {}).pop(shard, None)
        found = self._failures.setdefault(worker, _Failures(leases_before_first=self._num_leases))
        found.shards.add(shard)
        if not is_done:
            self._failed_by.setdefault(shard, set()).add(worker)
        is_to_blame = found.refuted or (is_done and self._latest > found.leases_before_first)
        found.leases_before_last, found.last_s = self._num_leases, now_s
        return is_to_blame and found.in_doubt

    def wants_another_opinion(self, worker: str) -> bool:
        """Whether the shard that a worker failed just now should soon go to another one."""
        found = self._failures.get(worker)
        return found is not None and len(found.shards) == _IN_DOUBT and not found.refuted

    def in_doubt(self) -> set[str]:
        """Workers that are bad, unless what they were given lately is."""
        return {worker for worker, found in self._failures.items() if found.in_doubt}

    def waiting(self, now_s: float) -> set[str]:
        """Workers in doubt that get no shard now, provided that others are there to work it."""
        return {
            worker
            for worker, found in self._failures.items()
            if found.in_doubt
            and self._latest <= found.leases_before_last
            and now_s - found.last_s < _PAUSE_S
        }

    def forget(self, worker: str) -> None:
        """The worker is gone."""
        self._given.pop(worker, None)
        self._failures.pop(worker, None)
