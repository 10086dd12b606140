"""Whatever workers report, and however often: every row ends exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import isqrt

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batchfim.driver.queue import ShardQueue
from batchfim.shards import Lease, Shard

NAMES = "uvwxyz"
WORKERS = st.sampled_from(NAMES)


ROWS = 6


@dataclass
class Expected:
    """What is known of a shard from what was told to the queue."""

    shard: Shard
    holders: dict[str, Lease] = field(default_factory=dict)
    attempt: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # by worker
    is_condemned: bool = False  # by failures, some of which may be forgiven since
    nodes: int = 0
    storage: Counter[str] = field(default_factory=Counter)  # failures by worker
    engines: int = 0
    alone: int = 0
    group: int = 0  # of suspects that may share an engine; 0: not a suspect
    ended: list[str] = field(default_factory=list)
    begun: dict[str, Lease] = field(default_factory=dict)  # by worker, whatever became of it


class QueueMachine(RuleBasedStateMachine):
    @initialize(num_shards=st.integers(0, 5), attempts=st.integers(1, 3), losses=st.integers(0, 2))
    def start(self, num_shards: int, attempts: int, losses: int) -> None:
        self.budgets = attempts, losses
        self.num_rows = num_shards * ROWS
        shards = [self._shard(i * ROWS, ROWS) for i in range(num_shards)]
        self.queue = ShardQueue(shards, attempts, losses, rerun=True)
        self.expected = {shard.id: Expected(shard) for shard in shards}
        self.leases: list[tuple[str, Lease]] = []
        self.num_groups = 0

    def _shard(self, start: int, num_rows: int) -> Shard:
        return Shard(f"{start}+{num_rows}", "file", "content", "/a.parquet", start, num_rows)

    @rule(worker=WORKERS)
    def lease(self, worker: str) -> None:
        unfinished = [shard for shard in self.expected.values() if not shard.ended]
        waiting = [shard for shard in unfinished if not shard.holders]
        single = [s for s in unfinished if len(s.holders) == 1 and not s.engines]
        late = [s for s in single if not self._has_failed(worker, s)]
        held = self._held(worker)
        others_work = any(shard.holders.keys() - {worker} for shard in unfinished)
        plain = [s for s in waiting if not s.engines]
        readable = [s for s in plain if not (others_work and self._has_failed(worker, s))]
        suspects = [s for s in waiting if s.engines]
        groups = {shard.group for shard in held}
        fitting = readable or ([] if held else suspects or late)
        if groups - {0}:
            fitting = [s for s in suspects if groups == {s.group}]
        lease = self.queue.lease(worker)
        assert (lease is None) == (not fitting)
        if lease is not None:
            assert self.expected[lease.shard.id] in fitting
            self._take(worker, lease)

    def _has_failed(self, worker: str, shard: Expected) -> bool:
        return shard.failures[worker] > 0 or shard.storage[worker] > 1

    def _take(self, worker: str, lease: Lease) -> None:
        shard = self.expected[lease.shard.id]
        assert worker not in shard.holders
        assert not shard.ended
        assert lease.attempt == shard.attempt + 1
        assert (lease.failure is not None) == self._is_spent(shard)
        shard.holders[worker], shard.attempt = lease, lease.attempt
        self.leases.append((worker, lease))

    def _is_spent(self, shard: Expected) -> bool:
        budgets = shard.is_condemned or shard.nodes > self.budgets[1]
        return budgets or (shard.shard.num_rows == 1 and shard.alone >= 2)

    def _report(self, data: st.DataObject) -> tuple[str, Lease, Expected | None]:
        """A report on some lease ever given: of its worker or another, on time, late, repeated."""
        holder, lease = data.draw(st.sampled_from(self.leases))
        worker = data.draw(st.just(holder) | WORKERS)
        shard = self.expected[lease.shard.id]
        counts = shard.holders.get(worker) == lease and not shard.ended
        return worker, lease, shard if counts else None

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        worker, lease, shard = self._report(data)
        self.queue.begin(worker, lease)
        if shard:
            shard.begun[worker] = lease

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        worker, lease, shard = self._report(data)
        assert self.queue.complete(worker, lease) == (shard is not None)
        if shard:
            self._end(shard, "complete")

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), first=st.booleans())
    def fail(self, data: st.DataObject, first: bool) -> None:
        worker, lease, shard = self._report(data)
        self.queue.fail(worker, lease, "cause", first=first)
        if shard and lease.failure is not None:
            self._end(shard, "abandoned")
        elif shard:
            del shard.holders[worker]
            shard.failures[worker] += 1
            shard.is_condemned |= shard.failures.total() >= self.budgets[0]

    @rule(worker=WORKERS)
    def forgive(self, worker: str) -> None:
        self.queue.forgive(worker)
        for shard in self.expected.values():
            del shard.failures[worker], shard.storage[worker]

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def storage_failed(self, data: st.DataObject) -> None:
        worker, lease, shard = self._report(data)
        self.queue.storage_failed(worker, lease, "503")
        if shard:
            del shard.holders[worker]
            shard.storage[worker] += 1
            if shard.storage.total() >= 8 and not shard.holders:
                self._end(shard, "abandoned")

    def _end(self, shard: Expected, how: str) -> None:
        shard.holders.clear()
        shard.ended.append(how)

    @rule(worker=WORKERS)
    def node_lost(self, worker: str) -> None:
        self.queue.node_lost(worker, "gone")
        for shard in self._held(worker):
            del shard.holders[worker]
            shard.nodes += 1

    @rule(worker=WORKERS)
    def engine_lost(self, worker: str) -> None:
        held = self._held(worker)
        held.sort(key=lambda shard: self.leases.index((worker, shard.holders[worker])))
        to_bisect = {shard.id for shard in self.queue.engine_lost(worker, "died")}
        size = isqrt(len(held)) or 1
        for place, shard in enumerate(reversed(held)):
            shard.group = self.num_groups + 1 + place // size
        self.num_groups += len(held)
        for shard in held:
            if shard.holders.pop(worker).failure is not None:
                if len(held) == 1:
                    self._end(shard, "abandoned")
                else:
                    shard.engines += 1
                continue
            shard.engines += 1
            shard.alone += len(held) == 1
            suspect = len(held) == 1 and shard.engines > 1 and not shard.holders
            to_cut = suspect and shard.shard.num_rows > 1
            assert (shard.shard.id in to_bisect) == to_cut
            if to_cut:
                self._cut(shard)

    def _cut(self, parent: Expected) -> None:
        start, rows = parent.shard.start, parent.shard.num_rows
        middle = rows // 2
        halves = [self._shard(start, middle), self._shard(start + middle, rows - middle)]
        self.queue.bisect(parent.shard, halves)
        parent.ended.append("cut")
        for half in halves:
            self.num_groups += 1
            self.expected[half.id] = Expected(
                half, attempt=parent.attempt, engines=parent.engines, group=self.num_groups
            )

    @rule(worker=WORKERS)
    def return_leases(self, worker: str) -> None:
        self.queue.return_leases(worker)
        for shard in self._held(worker):
            del shard.holders[worker]

    def _held(self, worker: str) -> list[Expected]:
        return [shard for shard in self.expected.values() if worker in shard.holders]

    @invariant()
    def accounts_close(self) -> None:
        open_ids = {name for name, shard in self.expected.items() if not shard.ended}
        assert {shard.id for shard in self.queue.shards} == open_ids
        assert self.queue.finished == (not open_ids)
        held = [len(self._held(worker)) for worker in NAMES]
        assert [self.queue.num_held(worker) for worker in NAMES] == held
        assert [self.queue.rows_held(worker) for worker in NAMES] == [
            sum(s.shard.num_rows for s in self._held(w)) for w in NAMES
        ]
        assert [sum(self.queue.rows_ahead(worker)) for worker in NAMES] == [
            sum(s.shard.num_rows for s in self._held(w) if s.begun.get(w) != s.holders[w])
            for w in NAMES
        ]
        assert len(self.queue.busy) == sum(count > 0 for count in held)
        leased = [shard for shard in self.expected.values() if shard.holders]
        assert self.queue.num_leased == len(leased)
        assert self.queue.num_waiting == len(open_ids) - len(leased)
        abandoned = {name for name, s in self.expected.items() if s.ended == ["abandoned"]}
        assert set(self.queue.abandoned) == abandoned

    def teardown(self) -> None:
        """Whatever happened, one good worker finishes the rest."""
        for worker in NAMES:
            self.return_leases(worker)
        while (lease := self.queue.lease("w")) is not None:
            self._take("w", lease)
            assert self.queue.complete("w", lease)
            self._end(self.expected[lease.shard.id], "complete")
        assert self.queue.finished
        assert all(len(shard.ended) == 1 for shard in self.expected.values())
        ended = [s.shard for s in self.expected.values() if s.ended != ["cut"]]
        assert sum(shard.num_rows for shard in ended) == self.num_rows


QueueMachine.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
TestQueue = QueueMachine.TestCase
