"""Commits beside the driver's loop: each is a few round trips to storage."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from batchfim.metrics.report import ShardReport
from batchfim.storage.ledger import Ledger

_THREADS = 16


class Committer:
    """Makes parts visible, several at once."""

    def __init__(self, ledger: Ledger, run: str) -> None:
        self._ledger = ledger
        self._run = run
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        self._going: dict[Future[None], ShardReport] = {}

    def submit(self, report: ShardReport) -> None:
        """Commit a shard soon."""
        future = self._threads.submit(self._ledger.commit, self._run, report)
        self._going[future] = report

    def committed(self) -> list[ShardReport]:
        """Shards committed since the last call.

        Raises:
            StorageError: one could not be; its part or its marker is missing.
        """
        done = [future for future in self._going if future.done()]
        reports = [self._going.pop(future) for future in done]
        for future in done:
            future.result()
        return reports

    def close(self) -> list[ShardReport]:
        """Wait for all commits; those not yet told of. Raises as `committed` does."""
        self._threads.shutdown(wait=True)
        return self.committed()
