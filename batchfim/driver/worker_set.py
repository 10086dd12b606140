"""The workers of a run: which are starting, ready or leaving, and which replace lost ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from itertools import count

from batchfim.config import Schedule
from batchfim.driver.watch import StallWatch
from batchfim.errors import BatchfimError, JobFailed
from batchfim.metrics.summary import EngineStart
from batchfim.workers.pool import Pool, WorkerReady

_log = logging.getLogger(__name__)
_PATIENCE_S = 300.0
_FEW = 8


class WorkerSet:
    """Starts workers in the pool, and replaces those that are lost."""

    def __init__(self, pool: Pool, schedule: Schedule, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._schedule = schedule
        self._clock = clock
        self._watch = StallWatch(schedule.stall_timeout_s, schedule.start_timeout_s)
        self._names = count()
        self._starting: set[str] = set()
        self._start_failures = 0
        self._num_missing = 0  # lost and not replaced, because too many starts failed
        self._missing_since_s = 0.0
        self._hosts: dict[str, str] = {}
        # Of starts since a worker was up: the first that failed, and whether a process answered.
        self._start_error: BatchfimError | None = None
        self._has_answered = False
        self._began_s = self._last_ready_s = clock()
        self.ready: set[str] = set()
        self.leaving: set[str] = set()
        self.engines: list[EngineStart] = []
        self.first_ready_s: float | None = None
        self.num_lost = 0
        self.last_loss: str | None = None
        self.ending = False  # whether the run is ending, so that no worker is started

    def __contains__(self, worker: str) -> bool:
        return worker in self.ready or worker in self._starting or worker in self.leaving

    @property
    def up(self) -> set[str]:
        """Workers whose engine is up."""
        return self.ready | self.leaving

    @property
    def num_up(self) -> int:
        return len(self.ready) + len(self.leaving)  # the sets are disjoint

    @property
    def num_starting(self) -> int:
        return len(self._starting)

    @property
    def num_workers(self) -> int:
        """Number of ready and starting workers."""
        return len(self.ready) + len(self._starting)

    def add(self) -> None:
        """Start one more worker, unless the run is ending."""
        if self.ending:
            return
        name = f"worker-{next(self._names)}"
        self._starting.add(name)
        self._pool.add_worker(name)

    def surplus(self, is_busy: Callable[[str], bool]) -> list[str]:
        """Idle workers above the minimum, starting ones first; released when no shard waits."""
        idle = [*self._starting, *(worker for worker in self.ready if not is_busy(worker))]
        num_surplus = len(self._starting) + len(self.ready) - self._schedule.workers.min
        return idle[: max(num_surplus, 0)]

    def remove(self, worker: str) -> None:
        """Release a worker for good, so that its machine can be removed."""
        self._forget(worker)
        self._pool.remove_worker(worker)

    def _forget(self, worker: str) -> None:
        self.ready.discard(worker)
        self.leaving.discard(worker)
        self._starting.discard(worker)

    def mark_leaving(self, worker: str) -> None:
        """Note that a worker's machine will leave; another is requested while it finishes."""
        self.ready.discard(worker)
        self.leaving.add(worker)
        self.add()

    def mark_ready(self, event: WorkerReady) -> None:
        """Note that a worker's engine is up."""
        self._starting.discard(event.worker)
        self.ready.add(event.worker)
        self._start_failures = 0
        self._start_error, self._has_answered = None, False
        now_s = self._clock()
        if self.first_ready_s is None:
            self.first_ready_s = now_s
        engine = event.engine
        start = EngineStart(
            worker=event.worker,
            host=event.host,
            name=engine.name,
            version=engine.version,
            device=engine.device,
            dtype=engine.dtype,
            start_s=event.start_s,
            ready_s=now_s - self._began_s,
        )
        self.engines.append(start)
        self._hosts[event.worker] = event.host

    def named(self, worker: str) -> str:
        """A worker's name with its machine, which helps to find bad machines."""
        host = self._hosts.get(worker)
        return f"{worker} on {host}" if host else worker

    def replace(self, worker: str, error: BatchfimError) -> None:
        """Replace a lost worker, unless further starts are pointless.

        If no engine has ever started, an error reported by an engine would only occur again; a
        process that was lost while starting may succeed the next time.

        Raises:
            BatchfimError: no worker is left and none ever started; the first error.
            JobFailed: no worker is left, and too many starts have failed.
        """
        has_successor = worker in self.leaving
        if worker in self.up:
            self.num_lost += 1
            self.last_loss = f"{self.named(worker)}: {error}"
        else:
            self._start_failures += 1
            self._start_error = self._start_error or error
        if self.ending:  # closing the pool stops it in order: its engine may still be shutting down
            self._forget(worker)
            return
        self.remove(worker)
        if has_successor:
            return
        may_start = self.engines or isinstance(error, JobFailed)
        if may_start and self._start_failures < self._schedule.start_attempts:
            self.add()
        elif not self.ready and not self._starting:
            first = self._start_error or error
            raise JobFailed(f"all workers are lost: {error}") if may_start else first
        else:
            if not self._num_missing:
                self._missing_since_s = self._clock()
            self._num_missing += 1
            when = (
                f"the next try is in {_PATIENCE_S:.0f} s"
                if self.engines
                else "it is replaced once another worker has started"
            )
            message = "%s is not replaced, because %d starts failed in a row; %s: %s"
            _log.warning(message, worker, self._start_failures, when, error)

    def add_missing(self, now_s: float) -> None:
        """Start missing workers: all once starts succeed again, until then one at a time.

        At most as many start at once as are up: a resource that was too slow for all of them, such
        as the disk with the model, would be so again. None start before the first one is up: a job
        whose engines can never start must end.
        """
        if not self.engines or self.ending:
            return
        waited_s = now_s - self._missing_since_s
        if self._num_missing and (not self._start_failures or waited_s >= _PATIENCE_S):
            room = max(len(self.ready), _FEW) - len(self._starting)
            num_added = 1 if self._start_failures else max(min(self._num_missing, room), 0)
            self._num_missing -= num_added
            self._missing_since_s = now_s
            for _ in range(num_added):
                self.add()

    def stalled(self, busy: Collection[str], now_s: float) -> dict[str, float]:
        """Stalled workers, with their seconds without progress.

        Raises:
            JobFailed: no worker has been up for too long.
        """
        steps = self._pool.steps()
        if self.up:
            self._last_ready_s = now_s
        else:
            self._has_answered = self._has_answered or bool(steps)
            if now_s - self._last_ready_s > self._schedule.no_worker_timeout_s:
                raise JobFailed(
                    f"no worker was up for {self._schedule.no_worker_timeout_s:.0f} s "
                    f"(schedule.no_worker_timeout_s): {self._why_none_is_up()}"
                )
        return self._watch.stalled(steps, self._starting, busy, now_s)

    def _why_none_is_up(self) -> str:
        if self._start_error is not None:
            return f"the first start that failed: {self._start_error}"
        if self._has_answered:
            return (
                "a worker's process runs, but its engine is still starting; if it needs longer, "
                "increase this setting and schedule.start_timeout_s"
            )
        return "the cluster has no room for one; add machines, or request less in resources"
