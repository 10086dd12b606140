"""Find workers that cannot reach a storage that others can reach. Pure."""

from __future__ import annotations

_MOST_SHARDS = 4


class StorageTrouble:
    """Tracks each worker's consecutive shards on which storage failed.

    An outage affects all workers, so a worker is blamed only if another one completes a shard that
    it was given after the failures began. A worker that alone cannot reach the storage is always
    free, and would take one shard after another.
    """

    def __init__(self) -> None:
        self._num_leases = 0
        self._latest = 0  # number of the latest completed lease
        self._given: dict[str, dict[str, int]] = {}  # lease numbers, by worker and shard
        self._failed: dict[str, tuple[set[str], int]] = {}  # shards, and number of leases before

    def leased(self, worker: str, shard: str) -> None:
        """Note that a shard was leased to a worker."""
        self._num_leases += 1
        self._given.setdefault(worker, {})[shard] = self._num_leases

    def completed(self, worker: str, shard: str) -> None:
        """Note that a worker has read and written a shard."""
        self._latest = max(self._latest, self._given.get(worker, {}).pop(shard, 0))
        self._failed.pop(worker, None)

    def failed(self, worker: str, shard: str) -> bool:
        """Note a storage failure; returns whether only this worker cannot reach the storage."""
        self._given.get(worker, {}).pop(shard, None)
        shards, before = self._failed.setdefault(worker, (set(), self._num_leases))
        shards.add(shard)
        return len(shards) >= _MOST_SHARDS and self._latest > before

    def forget(self, worker: str) -> None:
        """Forget a worker that is gone."""
        self._given.pop(worker, None)
        self._failed.pop(worker, None)
