"""ShardQueue: who works which shard. Pure: no Ray, no file system, no clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, KeysView
from dataclasses import dataclass, field

from batchfim.shards import Lease, Shard

_STORAGE_FAILURES, _OF_ONE_WORKER = 8, 2
_SOLO_LOSSES = 2  # a record is condemned when it was alone with so many engines that died


@dataclass(eq=False, slots=True)
class _State:
    shard: Shard
    attempts: int = 0
    task_failures: int = 0
    nodes_lost: int = 0
    engines_lost: int = 0
    engines_lost_alone: int = 0
    failure: str | None = None
    holders: dict[str, Lease] = field(default_factory=dict)  # by worker


class ShardQueue:
    """Leases, attempts and budgets, so that lost machines do not use up a shard's own tries.

    A report counts only if it is of an attempt that its worker still holds: anything late or
    repeated is recognised by that and ignored.

    A shard that lost an engine is a suspect: it waits behind all others and is worked alone, so
    that it takes none of them down with it. If an engine dies again, the shard is to be cut in
    two, until the record is alone that kills engines.

    Without `bisects`, the whole shard is condemned instead.

    With `rerun`, when nothing waits any more, idle workers work leased shards a second time, those
    first that wait in their worker's hands behind others, then those leased longest ago. The first
    report counts.
    """

    def __init__(
        self,
        shards: Iterable[Shard],
        task_attempts: int,
        node_losses: int,
        *,
        rerun: bool = False,
        bisects: bool = True,
    ) -> None:
        self._states = {shard.id: _State(shard) for shard in shards}
        self._waiting = deque(self._states.values())
        self._suspects: deque[_State] = deque()
        self._held: dict[str, dict[str, _State]] = {}  # by worker, those who hold nothing left out
        self._ahead: dict[str, dict[str, int]] = {}  # rows by worker and shard not begun
        self._leased: dict[str, _State] = {}  # in the order of their first holder's lease
        self._storage_failures: dict[str, Counter[str]] = {}  # by shard and worker
        self.abandoned: dict[str, str] = {}
        self._task_attempts = task_attempts
        self._node_losses = node_losses
        self._rerun = rerun
        self._bisects = bisects

    @property
    def finished(self) -> bool:
        """Every shard is complete, or abandoned with its cause."""
        return not self._states

    @property
    def shards(self) -> list[Shard]:
        """What is still to be done."""
        return [state.shard for state in self._states.values()]

    @property
    def num_waiting(self) -> int:
        return len(self._waiting) + len(self._suspects)

    @property
    def num_leased(self) -> int:
        return len(self._leased)

    @property
    def busy(self) -> KeysView[str]:
        """Workers with a lease in hand."""
        return self._held.keys()

    def num_held(self, worker: str) -> int:
        """Leases a worker has in hand."""
        return len(self._held.get(worker, ()))

    def rows_ahead(self, worker: str) -> Collection[int]:
        """Rows of each shard that a worker has in hand and has not begun."""
        return self._ahead.get(worker, {}).values()

    def lease(self, worker: str) -> Lease | None:
        """The next shard for a worker, in plan order, or None where none fits."""
        held = self._held.get(worker, {})
        if any(state.engines_lost for state in held.values()):
            return None
        if (waiting := self._next_waiting(worker)) is not None:
            state = waiting
        elif held:
            return None
        elif self._suspects:
            state = self._suspects.popleft()
        elif self._rerun and (late := self._late()) is not None:
            state = late
        else:
            return None
        state.attempts += 1
        lease = Lease(state.shard, state.attempts, state.failure)
        state.holders[worker] = lease
        held[state.shard.id] = state
        self._held[worker] = held
        self._ahead.setdefault(worker, {})[state.shard.id] = state.shard.num_rows
        self._leased.setdefault(state.shard.id, state)
        return lease

    def begin(self, worker: str, lease: Lease) -> None:
        """A worker's engine has all of a shard that it holds."""
        state = self._states.get(lease.shard.id)
        if state is not None and state.holders.get(worker) == lease:
            self._ahead[worker].pop(lease.shard.id, None)

    def complete(self, worker: str, lease: Lease) -> bool:
        """Whether this report is the one that counts; the shard is done with it."""
        state = self._release(worker, lease)
        if state is None:
            return False
        for other in state.holders:
            self._drop(other, state)
        self._leased.pop(lease.shard.id, None)
        del self._states[lease.shard.id]
        return True

    def fail(self, worker: str, lease: Lease, cause: str) -> None:
        """The attempt raised; the shard waits again, or is given up with the cause."""
        state = self._release(worker, lease)
        if state is None:
            return
        if lease.failure is not None:  # not even its failure could be written
            self._abandon(state, cause)
            return
        state.task_failures += 1
        if state.task_failures >= self._task_attempts:
            state.failure = f"{state.task_failures} attempts failed, the last with: {cause}"
        self._wait(state, first=False)

    def storage_failed(self, worker: str, lease: Lease, cause: str) -> None:
        """Storage failed; the shard waits again, for another worker if there is one at work.

        Where it fails time and again it is given up: its rows cannot be written as failed either.
        """
        state = self._release(worker, lease)
        if state is None:
            return
        failures = self._storage_failures.setdefault(lease.shard.id, Counter())
        failures[worker] += 1
        if failures.total() >= _STORAGE_FAILURES and not state.holders:
            self._abandon(state, cause)
        else:
            self._wait(state, first=False)

    def node_lost(self, worker: str, cause: str) -> None:
        """A worker is gone with its machine; its shards come first again, or are given up."""
        for state, _ in self._take_all(worker):
            state.nodes_lost += 1
            if state.nodes_lost > self._node_losses and state.failure is None:
                state.failure = f"{state.nodes_lost} nodes were lost, the last with: {cause}"
            self._wait(state, first=True)

    def engine_lost(self, worker: str, cause: str) -> list[Shard]:
        """A worker is gone, perhaps because of what it held; its shards are suspects now.

        Returns:
            the shard to be cut in two with `bisect`, where one is found to kill engines.
        """
        taken = self._take_all(worker)
        to_bisect = []
        for state, lease in taken:
            if lease.failure is not None:  # no engine was asked: reading it is enough
                if len(taken) == 1:
                    self._abandon(state, cause)
                else:
                    state.engines_lost += 1  # or another's: it is to be alone with the next
                    self._wait(state, first=True)
                continue
            if self._suspect(state, cause, alone=len(taken) == 1) and not state.holders:
                to_bisect.append(state.shard)
            self._wait(state, first=True)
        return to_bisect

    def bisect(self, shard: Shard, halves: Iterable[Shard]) -> None:
        """Two shards take the place of a suspect that waits; both are suspects."""
        parent = self._states.pop(shard.id)
        self._suspects.remove(parent)
        for half in halves:
            state = _State(half, parent.attempts, engines_lost=parent.engines_lost)
            self._states[half.id] = state
            self._suspects.append(state)

    def return_leases(self, worker: str) -> None:
        """A worker returns its leases unworked; no budget is touched."""
        for state, _ in self._take_all(worker):
            self._wait(state, first=True)

    def _next_waiting(self, worker: str) -> _State | None:
        """The first that this worker may have: not what failed it before, while others work."""
        others_work = len(self._held) > (worker in self._held)
        for place, state in enumerate(self._waiting):
            failures = self._storage_failures.get(state.shard.id)
            if not (failures and others_work and failures[worker] >= _OF_ONE_WORKER):
                del self._waiting[place]
                return state
        return None

    def _late(self) -> _State | None:
        """The leased shard that another worker had better work too."""
        alone = [s for s in self._leased.values() if len(s.holders) == 1 and not s.engines_lost]
        queued = [state for state in alone if self._is_queued(state)]
        return next(iter(queued or alone), None)

    def _is_queued(self, state: _State) -> bool:
        """Whether its holder has not begun it, and has another in hand that it got before."""
        (worker,) = state.holders
        is_first = next(iter(self._held[worker].values())) is state
        return not is_first and state.shard.id in self._ahead[worker]

    def _suspect(self, state: _State, cause: str, *, alone: bool) -> bool:
        """Note that an engine died on a shard; whether it is to be cut in two."""
        state.engines_lost += 1
        state.engines_lost_alone += alone
        if self._bisects and state.shard.num_rows > 1:
            return alone and state.engines_lost > 1
        if state.engines_lost_alone >= _SOLO_LOSSES:
            what = "this record" if state.shard.num_rows == 1 else "one of these records"
            state.failure = f"engine died on {what}: {cause}"
        return False

    def _wait(self, state: _State, *, first: bool) -> None:
        if state.holders:  # another worker has it too
            return
        self._leased.pop(state.shard.id, None)
        if state.engines_lost:
            self._suspects.append(state)
        elif first:
            self._waiting.appendleft(state)
        else:
            self._waiting.append(state)

    def _abandon(self, state: _State, cause: str) -> None:
        for other in state.holders:
            self._drop(other, state)
        self._leased.pop(state.shard.id, None)
        del self._states[state.shard.id]
        self.abandoned[state.shard.id] = cause

    def _take_all(self, worker: str) -> list[tuple[_State, Lease]]:
        """What a worker held, the last leased first."""
        states = reversed(self._held.pop(worker, {}).values())
        self._ahead.pop(worker, None)
        return [(state, state.holders.pop(worker)) for state in states]

    def _release(self, worker: str, lease: Lease) -> _State | None:
        state = self._states.get(lease.shard.id)
        if state is None or state.holders.get(worker) != lease:
            return None
        del state.holders[worker]
        self._drop(worker, state)
        return state

    def _drop(self, worker: str, state: _State) -> None:
        held = self._held[worker]
        del held[state.shard.id]
        self._ahead[worker].pop(state.shard.id, None)
        if not held:
            del self._held[worker], self._ahead[worker]
