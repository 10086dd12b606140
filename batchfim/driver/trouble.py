"""Which worker has trouble with a storage that serves the others. Pure."""

from __future__ import annotations

_MOST_SHARDS = 4


class StorageTrouble:
    """Knows, of each worker, the shards in a row on which its storage failed.

    A storage that is gone fails everybody: nobody is to blame unless another completes what it was
    given after that. But a worker that alone cannot reach it is always free, and would take one
    shard after another.
    """

    def __init__(self) -> None:
        self._num_leases = 0
        self._latest = 0  # number of the latest lease that was completed
        self._given: dict[str, dict[str, int]] = {}  # numbers of leases, by worker and shard
        self._failed: dict[str, tuple[set[str], int]] = {}  # shards, and leases given before

    def leased(self, worker: str, shard: str) -> None:
        """A worker is given a shard."""
        self._num_leases += 1
        self._given.setdefault(worker, {})[shard] = self._num_leases

    def completed(self, worker: str, shard: str) -> None:
        """A worker has read and written a shard."""
        self._latest = max(self._latest, self._given.get(worker, {}).pop(shard, 0))
        self._failed.pop(worker, None)

    def failed(self, worker: str, shard: str) -> bool:
        """Whether it is this worker's own storage that fails."""
        self._given.get(worker, {}).pop(shard, None)
        shards, before = self._failed.setdefault(worker, (set(), self._num_leases))
        shards.add(shard)
        return len(shards) >= _MOST_SHARDS and self._latest > before

    def forget(self, worker: str) -> None:
        """The worker is gone."""
        self._given.pop(worker, None)
        self._failed.pop(worker, None)
