"""The driver's loop. It never touches a record: it leases shards and commits their parts."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchfim.config import Schedule
from batchfim.driver.committer import Committed, Committer
from batchfim.driver.idle_time import IdleTime
from batchfim.driver.leasing import has_room
from batchfim.driver.queue import ShardQueue
from batchfim.driver.setbacks import Setbacks
from batchfim.driver.tally import Tally
from batchfim.driver.trouble import WorkerTrouble
from batchfim.driver.worker_set import WorkerSet
from batchfim.errors import BatchfimError, JobFailed, StorageError
from batchfim.metrics.run_state import RunState, Watcher
from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.summary import RunEntry
from batchfim.planning.cutting import halve
from batchfim.shards import Lease, Shard
from batchfim.telemetry.events import fields
from batchfim.workers.pool import (
    Event,
    FailureKind,
    Pool,
    ShardBegun,
    ShardEnded,
    ShardFailure,
    WorkerGone,
    WorkerLeaving,
    WorkerReady,
)

_log = logging.getLogger(__name__)
_WAIT_S = 0.5
_LOOK_S = 30.0
_NOTIFY_S = 0.5
_MOST_UNCOMMITTED = 64  # processed shards, or two for each worker
_LAST_COMMITS_S = 10.0  # for commits at a stop, however short its grace


@dataclass(kw_only=True)
class Driver:
    """One run, which ends when every shard is committed or given up, or on a request to stop.

    `commit` makes a staged part visible and then writes its marker; it is called in several
    threads. `split` replaces a shard that is not done by two halves in the plan. `stop_grace_s`
    returns the seconds that leased shards may still take, or None while the run continues.
    """

    run_id: str
    pool: Pool
    queue: ShardQueue
    commit: Callable[[ShardReport], None]
    split: Callable[[Shard, tuple[Shard, Shard]], None]
    fingerprint: str
    schedule: Schedule
    watchers: Sequence[Watcher]
    stop_grace_s: Callable[[], float | None]
    may_commit: Callable[[], bool]
    samples: int = 1  # of each record
    clock: Callable[[], float] = time.monotonic
    _may_lease: dict[str, None] = field(default_factory=dict)  # workers with room, in order
    _max_num_seqs: dict[str, int] = field(default_factory=dict)  # of each worker's engine
    _looked_s: float = 0.0
    _notified_s: float = 0.0
    _idle: IdleTime = field(default_factory=IdleTime)
    _trouble: WorkerTrouble = field(default_factory=WorkerTrouble)
    _stopped_s: float | None = None  # since when the run is to end
    _ended_s: float | None = None
    _tally: Tally = field(default_factory=Tally)

    def run(self) -> RunEntry:
        """Process the queue to its end.

        Raises:
            BatchfimError: no worker started; the error of the first one.
            StorageError: a part could not be committed.
            JobFailed: every worker is lost and none can be started, or nothing succeeds.
        """
        self._workers = WorkerSet(self.pool, self.schedule, self.clock)
        self._setbacks = Setbacks(self.schedule.setbacks, self.schedule.workers.max)
        self._started_at, self._started_s = time.time(), self.clock()
        self._num_workers = min(self.schedule.workers.max, self.queue.num_waiting)
        gc.freeze()  # keeps full collections from traversing a million waiting shards
        self._committer = Committer(self.commit, self.may_commit)
        try:
            for _ in range(self._num_workers):
                self._workers.add()
            self._loop()
        finally:
            gc.unfreeze()
            self._end()
        for worker in self._workers.up:
            self.queue.return_leases(worker)
        return self.run_entry()

    def run_entry(self) -> RunEntry:
        """Times and counts of a run that has ended, even if it raised."""
        ended_s = self.clock() if self._ended_s is None else self._ended_s
        ready_s = ended_s if self._workers.first_ready_s is None else self._workers.first_ready_s
        return RunEntry(
            run=self.run_id,
            started_at=self._started_at,
            engine_start_s=ready_s - self._started_s,
            run_s=ended_s - ready_s,
            worker_s=self._idle.ready_s,
            idle_s=self._idle.idle_s,
            shards=self._tally.shards,
            records=self._tally.records,
            counts=self._tally.counts,
            workers=self._num_workers,
            workers_lost=self._workers.num_lost,
            last_loss=self._workers.last_loss,
            engines=tuple(self._workers.engines),
        )

    def _end(self) -> None:
        """Wait for commits in progress, and account for those that succeed even if others fail.

        After a stop, parts that storage is too slow for are left to the next run.
        """
        grace_s = self.stop_grace_s()
        within_s = None if grace_s is None else max(self._grace_left_s(grace_s), _LAST_COMMITS_S)
        try:
            self._account(self._committer.close(within_s))
        finally:
            self._account(self._committer.taken())
            self._pass_time()
            self._ended_s = self.clock()
            self._notify()

    def _loop(self) -> None:
        while not self.queue.finished:
            grace_s = self.stop_grace_s()
            if grace_s is None:
                self._hand_out()
                self._let_go()
            elif not self.queue.num_leased or self._grace_left_s(grace_s) <= 0:
                return
            events = self.pool.wait(_WAIT_S)
            self._pass_time()  # before events change which workers are busy
            self._workers.ending = self.stop_grace_s() is not None
            for event in events:
                self._handle(event)
            self._account(self._committer.committed())
            self._replace_stalled()
            if self.clock() - self._notified_s >= _NOTIFY_S:
                self._notify()

    def _grace_left_s(self, grace_s: float) -> float:
        if self._stopped_s is None:
            self._stopped_s = self.clock()
        return self._stopped_s + grace_s - self.clock()

    def _hand_out(self) -> None:
        """Lease shards to the workers that have room, one at a time in turn."""
        if self._committer.num_waiting > max(_MOST_UNCOMMITTED, 2 * self._workers.num_up):
            return  # what a kill would cost is bounded, whatever the storage's pace
        held_back = self._held_back()
        found_any = True
        while found_any:
            found_any = False
            may_lease = [worker for worker in self._may_lease if worker not in held_back]
            for worker in sorted(may_lease, key=self.queue.num_held):
                lease = self.queue.lease(worker) if self._has_room(worker) else None
                if lease is not None:
                    found_any = True
                    self._trouble.leased(worker, lease.shard.id)
                    self.pool.submit(worker, lease)
                    if _log.isEnabledFor(logging.INFO):
                        _log.info("leased", extra=_about(worker, lease))
                elif self.queue.num_held(worker):
                    self._may_lease.pop(worker)
                elif not self.queue.num_waiting:
                    return  # there is no shard for the others either

    def _held_back(self) -> set[str]:
        """Workers in doubt, as long as there are others for their shards."""
        waiting = self._trouble.waiting(self.clock())
        if waiting and (
            self._workers.num_starting or self._workers.ready - self._trouble.in_doubt()
        ):
            return waiting
        return set()

    def _has_room(self, worker: str) -> bool:
        num_others = self._workers.num_workers - 1
        return has_room(
            self.schedule,
            self.schedule.records_in_flight(self._max_num_seqs[worker], self.samples),
            num_shards=self.queue.num_held(worker),
            rows_held=self.queue.rows_held(worker),
            rows_ahead=self.queue.rows_ahead(worker),
            num_waiting=self.queue.num_waiting / num_others if num_others > 0 else math.inf,
        )

    def _let_go(self) -> None:
        """Release workers that finished on a leaving machine.

        At the end of a run, also release idle workers above the minimum, as they only keep machines
        from others.
        """
        for worker in [one for one in self._workers.leaving if not self.queue.num_held(one)]:
            _log.info("left with its node", extra=fields(worker=worker))
            self._workers.remove(worker)
        if self.queue.num_waiting or not self.schedule.workers.may_grow:
            return
        for worker in self._workers.surplus(lambda one: self.queue.num_held(one) > 0):
            _log.info("idle and let go", extra=fields(worker=worker))
            self._may_lease.pop(worker, None)
            self._workers.remove(worker)

    def _handle(self, event: Event) -> None:
        if event.worker not in self._workers:
            return  # a late event of a worker that was replaced
        if isinstance(event, WorkerReady):
            self._workers.mark_ready(event)
            self._max_num_seqs[event.worker] = event.engine.max_num_seqs
            about = fields(worker=event.worker, host=event.host, start_s=event.start_s)
            _log.info("ready", extra=about)
            self._may_lease[event.worker] = None
        elif isinstance(event, WorkerGone):
            self._replace(event.worker, event.error, node_lost=event.node_lost)
        elif isinstance(event, WorkerLeaving):
            _log.info("node leaves", extra=fields(worker=event.worker))
            self._may_lease.pop(event.worker, None)
            self._workers.mark_leaving(event.worker)
        elif isinstance(event, ShardBegun):
            self.queue.begin(event.worker, event.lease)
            self._feed(event.worker)
        else:
            self._ended(event)

    def _feed(self, worker: str) -> None:
        if worker in self._workers.ready:
            self._may_lease[worker] = None

    def _ended(self, event: ShardEnded) -> None:
        self._feed(event.worker)
        if isinstance(event.outcome, ShardReport):
            self._complete(event, event.outcome)
        else:
            self._fail(event, event.outcome)

    def _complete(self, event: ShardEnded, report: ShardReport) -> None:
        if not self.may_commit() or not self.queue.complete(event.worker, event.lease):
            return
        self._committer.submit(report)
        if event.lease.failure is not None:
            return  # no engine was asked
        counts = (report.retried or report).counts
        if counts.failed < counts.rows:
            self._trouble.completed(event.worker, event.lease.shard.id)
            self._setbacks.succeed()
            return
        if report.retried is not None:
            return  # these rows had failed before, so it is no sign of a bad worker
        cause = next(iter(report.errors), "no row of the shard succeeded")
        shard, error = event.lease.shard, JobFailed(f"shard {event.lease.shard.id}: {cause}")
        self._setbacks.fail(event.worker, error, self._workers.num_up)
        if self._trouble.failed(event.worker, shard.id, self.clock(), is_done=True):
            self._replace_bad(event.worker, error)

    def _account(self, done: list[Committed]) -> None:
        for one in done:
            self._tally.add(one)
            if _log.isEnabledFor(logging.INFO):
                _log.info("committed", extra=_commit_fields(one))

    def _pass_time(self) -> None:
        self._idle.pass_time(self.clock(), self._workers.num_up, len(self.queue.busy))

    def _notify(self) -> None:
        """Send the state of the run to the watchers."""
        self._notified_s = self.clock()
        state = RunState(
            counts=self._tally.counts,
            records=self._tally.records,
            shards={
                "waiting": self.queue.num_waiting,
                "leased": self.queue.num_leased,
                "committed": self._tally.shards,
                "abandoned": len(self.queue.abandoned),
            },
            commits_s=self._tally.take_commits_s(),
            num_wanted=self._num_workers,
            num_starting=self._workers.num_starting,
            num_ready=len(self._workers.ready),
            num_lost=self._workers.num_lost,
            idle_share=self._idle.share,
        )
        for watcher in self.watchers:
            watcher.update(state)

    def _fail(self, event: ShardEnded, failure: ShardFailure) -> None:
        shard, cause = event.lease.shard, failure.cause
        if failure.kind is FailureKind.ENGINE:
            self._replace(event.worker, JobFailed(cause))
            return
        _log.warning("shard %s: %s", shard.id, cause, extra=_about(event.worker, event.lease))
        is_to_blame = self._trouble.failed(event.worker, shard.id, self.clock())
        first = self._trouble.wants_another_opinion(event.worker)
        error: BatchfimError = JobFailed(f"shard {shard.id}: {cause}")
        if failure.kind is FailureKind.STORAGE:
            error = StorageError(cause)
            self.queue.storage_failed(event.worker, event.lease, cause, first=first)
        else:
            self.queue.fail(event.worker, event.lease, cause, first=first)
        if failure.kind is not FailureKind.INPUT:  # a file may be bad, and all others good
            self._setbacks.fail(event.worker, error, self._workers.num_up)
        if is_to_blame:
            self._replace_bad(event.worker, error)

    def _replace(self, worker: str, error: BatchfimError, *, node_lost: bool = False) -> None:
        """Remove a lost worker, return the shards it held to the queue, and start another."""
        how = "is lost with its node" if node_lost else "is lost"
        lost = "%s %s: %s", self._workers.named(worker), how, error
        _log.warning(*lost, extra=fields(worker=worker))
        if node_lost:
            self.queue.node_lost(worker, str(error))
        else:
            for shard in self.queue.engine_lost(worker, str(error)):
                self._bisect(worker, shard)
        self._trouble.forget(worker)
        was_ready = worker in self._workers.up
        self._may_lease.pop(worker, None)
        self._workers.replace(worker, error)
        if was_ready and not node_lost and not self._workers.ending:
            self._setbacks.fail(worker, error, self._workers.num_up)

    def _replace_bad(self, worker: str, error: BatchfimError) -> None:
        """Replace a worker that fails what others complete; its failures count for no shard."""
        replaced = "%s is replaced: it fails what other workers complete: %s"
        _log.warning(replaced, self._workers.named(worker), error, extra=fields(worker=worker))
        self.queue.return_leases(worker)
        self.queue.forgive(worker)
        self._may_lease.pop(worker, None)
        self._trouble.forget(worker)
        self._workers.replace(worker, error)

    def _bisect(self, worker: str, shard: Shard) -> None:
        halves = halve(shard, self.fingerprint)
        cut = "%s: another engine died on shard %s, which is now cut in two", worker, shard.id
        _log.warning(*cut, extra=fields(worker=worker, shard=shard.id))
        self.split(shard, halves)
        self.queue.bisect(shard, halves)

    def _replace_stalled(self) -> None:
        now_s = self.clock()
        if now_s - self._looked_s < min(_LOOK_S, self.schedule.stall_timeout_s / 4):
            return
        self._looked_s = now_s
        # Includes workers whose shard was finished by another.
        for worker in self._workers.ready - self.queue.busy:
            self._feed(worker)
        if self.queue.num_waiting:
            self._workers.add_missing(now_s)
        busy = self._workers.up & self.queue.busy
        for worker, stood_s in self._workers.stalled(busy, now_s).items():
            self._replace(worker, JobFailed(f"the worker made no progress for {stood_s:.0f} s"))


def _about(worker: str, lease: Lease) -> dict[str, Any]:
    return fields(shard=lease.shard.id, attempt=lease.attempt, worker=worker)


def _commit_fields(done: Committed) -> dict[str, Any]:
    report, counts = done.report, done.report.counts
    return fields(
        shard=report.shard_id,
        attempt=report.attempt,
        worker=report.worker,
        ok=counts.ok,
        rejected=counts.rejected,
        failed=counts.failed,
        generate_s=round(report.generate_s, 3),
        commit_s=round(done.commit_s, 3),
    )
