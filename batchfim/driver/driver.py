"""The driver's loop. It never touches a record: it hands out shards and commits their parts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from batchfim.config import Schedule
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.errors import BatchfimError, JobFailed
from batchfim.metrics.report import Counts, ShardReport
from batchfim.metrics.summary import RunClock
from batchfim.storage.ledger import Ledger
from batchfim.workers.pool import Event, Pool, ShardEnded, WorkerGone, WorkerReady

_log = logging.getLogger(__name__)
_WAIT_S = 0.5


@dataclass
class Driver:
    """One run: `run` returns when every shard is committed or given up, or a stop is asked for."""

    run_id: str
    pool: Pool
    queue: ShardQueue
    ledger: Ledger
    schedule: Schedule
    progress: Progress
    should_stop: Callable[[], bool]
    engines: list[WorkerReady] = field(default_factory=list)
    _starting: set[str] = field(default_factory=set)
    _ready: set[str] = field(default_factory=set)
    _committed: list[Counts] = field(default_factory=list)
    _names: count[int] = field(default_factory=count)

    def run(self) -> RunClock:
        """Work the queue.

        Raises:
            BatchfimError: no worker came up; what the first one said.
        """
        started_s = time.monotonic()
        first_ready_s = None
        num_workers = min(self.schedule.workers, self.queue.num_waiting)
        for _ in range(num_workers):
            self._add_worker()
        while not self.queue.finished and not self.should_stop():
            self._hand_out()
            for event in self.pool.wait(_WAIT_S):
                self._handle(event)
            if self._ready and first_ready_s is None:
                first_ready_s = time.monotonic()
            self.progress.update(self.queue.num_leased, len(self._ready))
        ended_s = time.monotonic()
        ready_s = first_ready_s or ended_s
        return RunClock(
            total_s=ended_s - started_s,
            engine_start_s=ready_s - started_s,
            run_s=ended_s - ready_s,
            shards=len(self._committed),
            counts=Counts.sum(self._committed),
            workers=num_workers,
        )

    def _hand_out(self) -> None:
        """Fill every worker's hands, one shard each in turn."""
        for _ in range(self.schedule.shards_in_hand):
            for worker in sorted(self._ready, key=self.queue.num_held):
                if self.queue.num_held(worker) < self.schedule.shards_in_hand:
                    lease = self.queue.lease(worker)
                    if lease is None:
                        return
                    self.pool.submit(worker, lease)

    def _handle(self, event: Event) -> None:
        if event.worker not in self._starting | self._ready:
            return  # an echo of a worker that was replaced
        if isinstance(event, WorkerReady):
            self._starting.discard(event.worker)
            self._ready.add(event.worker)
            self.engines.append(event)
            _log.info("worker %s is ready after %.1f s", event.worker, event.start_s)
        elif isinstance(event, WorkerGone):
            self._replace(event.worker, event.error)
        elif isinstance(event.outcome, ShardReport):
            self._commit(event, event.outcome)
        elif event.outcome.worker_lost:
            self._replace(event.worker, JobFailed(event.outcome.cause))
        else:
            _log.warning("shard %s: %s", event.lease.shard.id, event.outcome.cause)
            self.queue.fail(event.worker, event.lease, event.outcome.cause)

    def _commit(self, event: ShardEnded, report: ShardReport) -> None:
        if self.queue.complete(event.worker, event.lease):
            self.ledger.commit(self.run_id, report)
            self._committed.append(report.counts)
            self.progress.add(report.counts)

    def _replace(self, worker: str, error: BatchfimError) -> None:
        """A worker that was ready is replaced; one that never came up only while others live."""
        was_ready = worker in self._ready
        _log.warning("worker %s: %s", worker, error)
        self._ready.discard(worker)
        self._starting.discard(worker)
        self.queue.lost(worker, str(error))
        self.pool.remove_worker(worker)
        if was_ready:
            self._add_worker()
        elif not self._ready and not self._starting:
            raise error

    def _add_worker(self) -> None:
        name = f"worker-{next(self._names)}"
        self._starting.add(name)
        self.pool.add_worker(name)
