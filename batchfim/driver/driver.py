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
from batchfim.metrics.summary import EngineStart, RunClock
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
    may_commit: Callable[[], bool]
    _starting: set[str] = field(default_factory=set)
    _ready: set[str] = field(default_factory=set)
    _engines: list[EngineStart] = field(default_factory=list)
    _start_failures: int = 0
    _first_error: BatchfimError | None = None
    _workers_lost: int = 0
    _records: int = 0
    _committed: list[Counts] = field(default_factory=list)
    _names: count[int] = field(default_factory=count)

    def run(self) -> RunClock:
        """Work the queue.

        Raises:
            BatchfimError: no worker came up; what the first one said.
            JobFailed: every worker was lost, and none can be had any more.
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
        for worker in self._ready:
            self.queue.give_back(worker)
        ready_s = first_ready_s or time.monotonic()
        return RunClock(
            engine_start_s=ready_s - started_s,
            run_s=time.monotonic() - ready_s,
            shards=len(self._committed),
            records=self._records,
            counts=Counts.sum(self._committed),
            workers=num_workers,
            workers_lost=self._workers_lost,
            engines=tuple(self._engines),
        )

    def _hand_out(self) -> None:
        """Fill every worker's hands, one shard each in turn."""
        for _ in range(self.schedule.shards_in_hand):
            for worker in sorted(self._ready, key=self.queue.num_held):
                if self.queue.num_held(worker) < self.schedule.shards_in_hand:
                    lease = self.queue.lease(worker)
                    if lease is not None:
                        self.pool.submit(worker, lease)

    def _handle(self, event: Event) -> None:
        if event.worker not in self._starting | self._ready:
            return  # an echo of a worker that was replaced
        if isinstance(event, WorkerReady):
            self._welcome(event)
        elif isinstance(event, WorkerGone):
            self._replace(event.worker, event.error)
        elif isinstance(event.outcome, ShardReport):
            self._commit(event, event.outcome)
        elif event.outcome.worker_lost:
            self._replace(event.worker, JobFailed(event.outcome.cause))
        else:
            _log.warning("shard %s: %s", event.lease.shard.id, event.outcome.cause)
            self.queue.fail(event.worker, event.lease, event.outcome.cause)

    def _welcome(self, event: WorkerReady) -> None:
        self._starting.discard(event.worker)
        self._ready.add(event.worker)
        self._start_failures = 0
        engine = event.engine
        start = EngineStart(
            worker=event.worker,
            name=engine.name,
            version=engine.version,
            device=engine.device,
            start_s=event.start_s,
        )
        self._engines.append(start)

    def _commit(self, event: ShardEnded, report: ShardReport) -> None:
        if self.may_commit() and self.queue.complete(event.worker, event.lease):
            self.ledger.commit(self.run_id, report)
            self._committed.append(report.counts)
            self._records += report.records
            self.progress.add(report.counts)

    def _replace(self, worker: str, error: BatchfimError) -> None:
        """Start another worker, unless none has ever come up, or none does any more."""
        _log.warning("%s: %s", worker, error)
        self._first_error = self._first_error or error
        if worker in self._ready:
            self._workers_lost += 1
        else:
            self._start_failures += 1
        self._ready.discard(worker)
        self._starting.discard(worker)
        self.queue.lost(worker, str(error))
        self.pool.remove_worker(worker)
        if self._engines and self._start_failures < self.schedule.start_attempts:
            self._add_worker()
        elif not self._ready and not self._starting:
            raise (
                JobFailed(f"all workers are lost: {error}") if self._engines else self._first_error
            )

    def _add_worker(self) -> None:
        name = f"worker-{next(self._names)}"
        self._starting.add(name)
        self.pool.add_worker(name)
