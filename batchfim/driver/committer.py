"""Commits beside the driver's loop: each is a few round trips to storage."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol

from batchfim.metrics.report import ShardReport
from batchfim.shards import Shard

_THREADS = 16


class Commits(Protocol):
    """What a driver needs of the ledger."""

    def commit(self, run: str, report: ShardReport) -> None:
        """Make a staged part visible, then write its marker; several threads may."""

    def split(self, parent: Shard, children: tuple[Shard, Shard]) -> None:
        """Plan two halves in the place of a shard that is not done."""


class Committer:
    """Makes parts visible, several at once."""

    def __init__(self, ledger: Commits, run: str) -> None:
        self._ledger = ledger
        self._run = run
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        self._done: SimpleQueue[tuple[ShardReport, Future[None]]] = SimpleQueue()

    def submit(self, report: ShardReport) -> None:
        """Commit a shard soon."""
        future = self._threads.submit(self._ledger.commit, self._run, report)
        future.add_done_callback(lambda done: self._done.put((report, done)))

    def committed(self) -> list[ShardReport]:
        """Shards committed since the last call.

        Raises:
            StorageError: one could not be; its part or its marker is missing.
        """
        reports = []
        while not self._done.empty():
            report, future = self._done.get()
            future.result()
            reports.append(report)
        return reports

    def close(self) -> list[ShardReport]:
        """Wait for all commits; those not yet told of. Raises as `committed` does."""
        self._threads.shutdown(wait=True)
        return self.committed()
