"""Commit shards outside the driver's loop, as each commit is a few round trips to storage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from batchfim.metrics.shard_report import ShardReport

_THREADS = 32


@dataclass(frozen=True, slots=True)
class Committed:
    """A shard whose part is visible, and the seconds its commit took."""

    report: ShardReport
    commit_s: float


class Committer:
    """Commits parts, several at once.

    Its own threads take one report after another: one executor task per report would cost the
    driver more than everything else it does for a shard.
    """

    def __init__(
        self, commit: Callable[[ShardReport], None], may_commit: Callable[[], bool]
    ) -> None:
        self._commit = commit
        self._may_commit = may_commit
        self._submitted: SimpleQueue[ShardReport | None] = SimpleQueue()  # None ends a thread
        self._done: SimpleQueue[Committed] = SimpleQueue()
        self._ended: SimpleQueue[Future[None]] = SimpleQueue()
        self._begin_until_s = math.inf
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="commit")
        for _ in range(_THREADS):
            self._threads.submit(self._work).add_done_callback(self._ended.put)

    def submit(self, report: ShardReport) -> None:
        """Queue a shard for its commit."""
        self._submitted.put(report)

    @property
    def num_waiting(self) -> int:
        """Submitted shards whose commit has not begun."""
        return self._submitted.qsize()

    def committed(self) -> list[Committed]:
        """Shards committed since the last call.

        Raises:
            StorageError: a commit failed, so that a part or its marker is missing.
        """
        while not self._ended.empty():
            self._ended.get().result()
        return self.taken()

    def taken(self) -> list[Committed]:
        """Shards committed since the last call, even if other commits failed."""
        return [self._done.get() for _ in range(self._done.qsize())]

    def _work(self) -> None:
        while (report := self._submitted.get()) is not None:
            started_s = time.monotonic()
            # The job may belong to another run by now.
            if started_s > self._begin_until_s or not self._may_commit():
                continue
            self._commit(report)
            self._done.put(Committed(report, time.monotonic() - started_s))

    def close(self, within_s: float | None = None) -> list[Committed]:
        """Wait for all commits; returns those since the last call, and raises as `committed`.

        Args:
            within_s: begin no commit after so many seconds; what is left is not committed.
        """
        if within_s is not None:
            self._begin_until_s = time.monotonic() + within_s
        for _ in range(_THREADS):
            self._submitted.put(None)
        self._threads.shutdown(wait=True)
        return self.committed()
