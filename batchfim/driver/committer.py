"""Commits beside the driver's loop: each is a few round trips to storage."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Committed:
    """A shard whose part is visible, and how many seconds that took."""

    report: ShardReport
    commit_s: float


class Committer:
    """Makes parts visible, several at once."""

    def __init__(self, ledger: Commits, run: str) -> None:
        self._ledger = ledger
        self._run = run
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        self._done: SimpleQueue[Future[Committed]] = SimpleQueue()

    def submit(self, report: ShardReport) -> None:
        """Commit a shard soon."""
        self._threads.submit(self._commit, report).add_done_callback(self._done.put)

    def committed(self) -> list[Committed]:
        """Shards committed since the last call.

        Raises:
            StorageError: one could not be; its part or its marker is missing.
        """
        done = []
        while not self._done.empty():
            done.append(self._done.get().result())
        return done

    def _commit(self, report: ShardReport) -> Committed:
        started_s = time.monotonic()
        self._ledger.commit(self._run, report)
        return Committed(report, time.monotonic() - started_s)

    def close(self) -> list[Committed]:
        """Wait for all commits; those not yet told of. Raises as `committed` does."""
        self._threads.shutdown(wait=True)
        return self.committed()
