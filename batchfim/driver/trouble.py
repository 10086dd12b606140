"""Which worker has trouble with a storage that serves the others. Pure."""

from __future__ import annotations

_MOST_IN_A_ROW = 4


class StorageTrouble:
    """Counts, for each worker, attempts in a row that its storage failed.

    A storage that is gone fails everybody: nobody is to blame while nothing is completed. But a
    worker that alone cannot reach it is always free, and would take one shard after another.
    """

    def __init__(self) -> None:
        self._num_completed = 0
        self._failures: dict[str, tuple[int, int]] = {}  # in a row, and what was completed before

    def completed(self, worker: str) -> None:
        """A worker has read and written a shard."""
        self._num_completed += 1
        self._failures.pop(worker, None)

    def failed(self, worker: str) -> bool:
        """Whether it is this worker's own storage that fails."""
        count, before = self._failures.get(worker, (0, self._num_completed))
        self._failures[worker] = count + 1, before
        return count + 1 >= _MOST_IN_A_ROW and self._num_completed > before

    def forget(self, worker: str) -> None:
        """The worker is gone."""
        self._failures.pop(worker, None)
