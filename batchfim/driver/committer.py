"""Commits beside the driver's loop: each is a few round trips to storage."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from batchfim.metrics.report import ShardReport

_THREADS = 16


@dataclass(frozen=True, slots=True)
class Committed:
    """A shard whose part is visible, and how many seconds that took."""

    report: ShardReport
    commit_s: float


class Committer:
    """Makes parts visible, several at once.

    Threads of its own take one report after another: an executor's task for each would cost the
    driver more than all else it does for a shard.
    """

    def __init__(
        self, commit: Callable[[ShardReport], None], may_commit: Callable[[], bool]
    ) -> None:
        self._commit = commit
        self._may_commit = may_commit
        self._submitted: SimpleQueue[ShardReport | None] = SimpleQueue()  # None: a thread's last
        self._done: SimpleQueue[Committed] = SimpleQueue()
        self._ended: SimpleQueue[Future[None]] = SimpleQueue()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        for _ in range(_THREADS):
            self._threads.submit(self._work).add_done_callback(self._ended.put)

    def submit(self, report: ShardReport) -> None:
        """Commit a shard soon."""
        self._submitted.put(report)

    def committed(self) -> list[Committed]:
        """Shards committed since the last call.

        Raises:
            StorageError: one could not be; its part or its marker is missing.
        """
        while not self._ended.empty():
            self._ended.get().result()
        return self.taken()

    def taken(self) -> list[Committed]:
        """The same, whatever else could not be committed."""
        return [self._done.get() for _ in range(self._done.qsize())]

    def _work(self) -> None:
        while (report := self._submitted.get()) is not None:
            if not self._may_commit():  # the job may be another run's by now
                continue
            started_s = time.monotonic()
            self._commit(report)
            self._done.put(Committed(report, time.monotonic() - started_s))

    def close(self) -> list[Committed]:
        """Wait for all commits; those not yet told of. Raises as `committed` does."""
        for _ in range(_THREADS):
            self._submitted.put(None)
        self._threads.shutdown(wait=True)
        return self.committed()
