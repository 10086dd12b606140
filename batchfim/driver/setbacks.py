"""When a run in which nothing succeeds any more is to stop. Pure."""

from __future__ import annotations

from collections import Counter

from batchfim.errors import BatchfimError, JobFailed, StorageError

_FEW_WORKERS = 8


class Setbacks:
    """Counts failures since the last success, each worker's up to its share of the budget only.

    So a single bad worker, however fast it fails, never stops a job in which others are at work.
    """

    def __init__(self, for_each_worker: int, most_workers: int) -> None:
        """Start with no failures.

        Args:
            for_each_worker: failures that each worker may add, `schedule.setbacks`.
            most_workers: workers that the job asks for; a few count even before they are up.
        """
        self._for_each = for_each_worker
        self._fewest = min(most_workers, _FEW_WORKERS)
        self._counts: Counter[str] = Counter()
        self._first: BatchfimError | None = None
        self._all_alike = True

    def succeed(self) -> None:
        """Start again from zero: a shard was completed."""
        self._counts.clear()
        self._first = None
        self._all_alike = True

    def fail(self, worker: str, error: BatchfimError, num_up: int) -> None:
        """Count a failure.

        Args:
            worker: whose it is.
            error: the cause.
            num_up: workers whose engine is up.

        Raises:
            StorageError, JobFailed: the budget is used up; with the first failure as the cause.
        """
        self._first = self._first or error
        self._all_alike = self._all_alike and str(error) == str(self._first)
        self._counts[worker] += 1
        limit = self._for_each * max(num_up, self._fewest)
        share = -(-limit // max(num_up, 1))
        if sum(min(count, share) for count in self._counts.values()) >= limit:
            kind = StorageError if isinstance(self._first, StorageError) else JobFailed
            num_failures = self._counts.total()
            alike = self._all_alike and num_failures > 1
            which = "all alike, so hardly a record's fault" if alike else "the first"
            raise kind(
                f"stopped after {num_failures} failures with nothing completed in "
                f"between, {which}: {self._first}; finished shards stay finished, run again to "
                "continue"
            )
