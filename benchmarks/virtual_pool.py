"""Workers and storage simulated on a virtual clock, for `benchmarks.scaling`."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from batchfim.engines.engine import EngineInfo
from batchfim.errors import JobFailed
from batchfim.metrics.histogram import Histogram
from batchfim.metrics.shard_report import TIMINGS, Counts, ShardReport
from batchfim.shards import Lease
from batchfim.workers.pool import Event, ShardEnded, WorkerGone, WorkerReady

_ROWS = 100
_ENGINE = EngineInfo("virtual", "1", "none", max_num_seqs=_ROWS)  # one shard at a time
_REPORT = ShardReport(
    shard_id="0" * 20,
    attempt=1,
    worker="worker-0",
    records=_ROWS,
    counts=Counts(rows=_ROWS, ok=_ROWS, prompt_tokens=100 * _ROWS, completion_tokens=20 * _ROWS),
    finish_reasons={},
    errors={},
    timings={name: Histogram() for name in TIMINGS},
    checksum="",
    size_bytes=1,
    **dict.fromkeys(("read_s", "encode_s", "generate_s", "write_s"), 0.1),
)


@dataclass
class _Member:
    speed: float
    ready_s: float
    free_s: float
    steps: int = 0


@dataclass
class VirtualPool:
    """Workers that take given times for shards; time passes while the driver waits."""

    work_s: Sequence[float]
    rng: random.Random
    start_s: float
    mean_life_s: float
    slow_share: float
    slow_speed: float
    now_s: float = 0.0
    own_cpu_s: float = 0.0
    num_submitted: int = 0
    _up_s: float = 0.0  # time that all workers were up
    _could_s: float = 0.0  # that time weighted by their speeds
    _members: dict[str, _Member] = field(default_factory=dict)
    _events: list[tuple[float, int, Event]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def add_worker(self, worker: str) -> None:
        speed = self.speed(int(worker.removeprefix("worker-")))
        ready_s = self.now_s + self.start_s
        self._members[worker] = _Member(speed, ready_s, ready_s)
        self._at(ready_s, WorkerReady(worker, _ENGINE, self.start_s))
        dies_s = ready_s + self.rng.expovariate(1 / self.mean_life_s)
        gone = WorkerGone(worker, JobFailed("gone"), node_lost=self.rng.random() < 0.5)
        self._at(dies_s, gone)

    def speed(self, number: int) -> float:
        """Speed of the n-th worker; one in every `1 / slow_share` is slow."""
        return self.slow_speed if number % round(1 / self.slow_share) == 1 else 1.0

    def remove_worker(self, worker: str) -> None:
        member = self._members.pop(worker, None)
        if member is not None:
            up_s = max(self.now_s - member.ready_s, 0.0)
            self._up_s += up_s
            self._could_s += up_s * member.speed

    @property
    def mean_speed(self) -> float:
        """Mean speed of all workers, weighted by the time they were up; valid after `close`."""
        return self._could_s / self._up_s

    def submit(self, worker: str, lease: Lease) -> None:
        began_s = time.process_time()
        self.num_submitted += 1
        member = self._members[worker]
        work_s = self.work_s[lease.shard.start // _ROWS]
        member.free_s = max(member.free_s, self.now_s) + work_s / member.speed
        self._at(member.free_s, ShardEnded(worker, lease, _REPORT))
        self.own_cpu_s += time.process_time() - began_s

    def wait(self, timeout_s: float) -> list[Event]:
        began_s = time.process_time()
        until_s = self.now_s + timeout_s
        events: list[Event] = []
        while not events and self._events and self._events[0][0] <= until_s:
            self.now_s, _, event = heapq.heappop(self._events)
            if event.worker in self._members:
                events.append(event)
        if not events:
            self.now_s = until_s
        self.own_cpu_s += time.process_time() - began_s
        return events

    def steps(self) -> dict[str, int]:
        began_s = time.process_time()
        for member in self._members.values():
            member.steps += 1
        told = {worker: member.steps for worker, member in self._members.items()}
        self.own_cpu_s += time.process_time() - began_s
        return told

    def close(self) -> None:
        for worker in list(self._members):
            self.remove_worker(worker)

    def _at(self, when_s: float, event: Event) -> None:
        heapq.heappush(self._events, (when_s, next(self._numbers), event))
