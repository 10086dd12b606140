"""ShardQueue: assigns shards to workers. Pure: no Ray, no file system, no clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, KeysView

from batchfim.driver.suspects import ShardState, Suspects
from batchfim.shards import Lease, Shard

_STORAGE_FAILURES, _OF_ONE_WORKER = 8, 2
_SOLO_LOSSES = 2  # a record fails once this many engines died while it was alone in them


class ShardQueue:
    """Leases and attempts of shards, with separate budgets for failures and for lost machines.

    A report counts only if its worker still holds the lease of that attempt, so late and repeated
    reports are ignored.

    A shard whose engine died is a suspect: it waits behind all others and shares an engine only
    with suspects of its own group (see `Suspects`). Each further death makes smaller groups, down
    to a single shard; then that shard is cut in two, and so on until the record that kills engines
    is alone.

    Without `bisects`, the whole shard fails instead.

    With `rerun`, once no shard waits, idle workers process leased shards a second time: first those
    that wait behind others in their worker's hands, then those leased longest ago. The first
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
        self._states = {shard.id: ShardState(shard) for shard in shards}
        self._waiting = deque(self._states.values())
        self._suspects = Suspects()
        self._held: dict[str, dict[str, ShardState]] = {}  # by worker and shard; no empty entries
        self._ahead: dict[str, dict[str, int]] = {}  # rows not begun, by worker and shard
        self._leased: dict[str, ShardState] = {}  # in the order of their first lease
        self._task_failures: dict[str, Counter[str]] = {}  # by shard and worker
        self._storage_failures: dict[str, Counter[str]] = {}  # likewise
        self.abandoned: dict[str, str] = {}
        self._task_attempts = task_attempts
        self._node_losses = node_losses
        self._rerun = rerun
        self._bisects = bisects

    @property
    def finished(self) -> bool:
        """Whether every shard is complete, or abandoned with its cause."""
        return not self._states

    @property
    def shards(self) -> list[Shard]:
        """Shards that are not complete yet."""
        return [state.shard for state in self._states.values()]

    @property
    def num_waiting(self) -> int:
        return len(self._waiting) + len(self._suspects)

    @property
    def num_leased(self) -> int:
        return len(self._leased)

    @property
    def busy(self) -> KeysView[str]:
        """Workers that hold a lease."""
        return self._held.keys()

    def num_held(self, worker: str) -> int:
        """Number of leases that a worker holds."""
        return len(self._held.get(worker, ()))

    def rows_held(self, worker: str) -> int:
        """Rows of all shards that a worker holds."""
        return sum(state.shard.num_rows for state in self._held.get(worker, {}).values())

    def rows_ahead(self, worker: str) -> Collection[int]:
        """Rows of each shard that a worker holds and whose engine has not begun."""
        return self._ahead.get(worker, {}).values()

    def lease(self, worker: str) -> Lease | None:
        """Lease the next suitable shard to a worker, in plan order; None if there is none."""
        held = self._held.get(worker, {})
        state = self._next(worker, held.values())
        if state is None:
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
        """Note that a worker's engine has all prompts of a leased shard."""
        state = self._states.get(lease.shard.id)
        if state is not None and state.holders.get(worker) == lease:
            self._ahead[worker].pop(lease.shard.id, None)

    def complete(self, worker: str, lease: Lease) -> bool:
        """Note that a shard is done; returns whether this report is the one that counts."""
        state = self._release(worker, lease)
        if state is None:
            return False
        for other in state.holders:
            self._drop(other, state)
        self._leased.pop(lease.shard.id, None)
        del self._states[lease.shard.id]
        return True

    def fail(self, worker: str, lease: Lease, cause: str, *, first: bool = False) -> None:
        """Note that an attempt raised; the shard waits again, perhaps to be written as failed.

        Args:
            worker: who made the attempt.
            lease: of the shard.
            cause: what it raised.
            first: let the shard wait before all others.
        """
        state = self._release(worker, lease)
        if state is None:
            return
        if lease.failure is not None:  # its rows could not even be written as failed
            self._abandon(state, cause)
            return
        failures = self._task_failures.setdefault(lease.shard.id, Counter())
        failures[worker] += 1
        if failures.total() >= self._task_attempts:
            state.failure = f"{failures.total()} attempts failed, the last with: {cause}"
        self._wait(state, first=first)

    def storage_failed(self, worker: str, lease: Lease, cause: str, *, first: bool = False) -> None:
        """Note that storage failed; the shard waits again.

        After repeated failures the shard is abandoned: its rows cannot be written as failed either.
        Arguments as those of `fail`.
        """
        state = self._release(worker, lease)
        if state is None:
            return
        failures = self._storage_failures.setdefault(lease.shard.id, Counter())
        failures[worker] += 1
        if failures.total() >= _STORAGE_FAILURES and not state.holders:
            self._abandon(state, cause)
        else:
            self._wait(state, first=first)

    def forgive(self, worker: str) -> None:
        """Take back what shards failed on a worker: it was the worker's own fault.

        A shard that is to be written as failed stays so.
        """
        for failures in (*self._task_failures.values(), *self._storage_failures.values()):
            failures.pop(worker, None)

    def node_lost(self, worker: str, cause: str) -> None:
        """Note that a worker is lost with its machine; its shards wait again, before all others.

        A shard that has lost too many machines waits to be written as failed.
        """
        for state, _ in self._take_all(worker):
            state.nodes_lost += 1
            if state.nodes_lost > self._node_losses and state.failure is None:
                state.failure = f"{state.nodes_lost} nodes were lost, the last with: {cause}"
            self._wait(state, first=True)

    def engine_lost(self, worker: str, cause: str) -> list[Shard]:
        """Note that a worker is lost, perhaps because of its shards, which become suspects.

        Returns:
            Shards found to kill engines, to be cut in two with `bisect`; one at most.
        """
        taken = self._take_all(worker)
        self._suspects.divide([state for state, _ in taken])
        to_bisect = []
        for state, lease in taken:
            if lease.failure is not None:  # the engine was not called: reading the shard kills it
                if len(taken) == 1:
                    self._abandon(state, cause)
                else:
                    state.engines_lost += 1  # perhaps due to another shard
                    self._wait(state, first=True)
                continue
            if self._suspect(state, cause, alone=len(taken) == 1) and not state.holders:
                to_bisect.append(state.shard)
            self._wait(state, first=True)
        return to_bisect

    def bisect(self, shard: Shard, halves: Iterable[Shard]) -> None:
        """Replace a waiting suspect by its two halves, which are suspects, too."""
        parent = self._states.pop(shard.id)
        self._suspects.remove(parent)
        for half in halves:
            state = ShardState(half, parent.attempts, engines_lost=parent.engines_lost)
            self._states[half.id] = state
            self._suspects.group([state])
            self._suspects.wait(state)

    def return_leases(self, worker: str) -> None:
        """Return a worker's unprocessed leases to the queue; no budget is charged."""
        for state, _ in self._take_all(worker):
            self._wait(state, first=True)

    def _next(self, worker: str, held: Collection[ShardState]) -> ShardState | None:
        """The shard to lease to a worker that holds others already, or none."""
        groups = {state.group for state in held}
        if groups - {None}:
            return self._suspects.take(groups.pop()) if len(groups) == 1 else None
        waiting = self._next_waiting(worker)
        if waiting is not None or held:
            return waiting
        suspect = self._suspects.take()
        return self._late(worker) if suspect is None and self._rerun else suspect

    def _next_waiting(self, worker: str) -> ShardState | None:
        """The first shard this worker may have: none that it failed before, while others work."""
        others_work = len(self._held) > (worker in self._held)
        for place, state in enumerate(self._waiting):
            if not (others_work and self._has_failed(worker, state)):
                del self._waiting[place]
                return state
        return None

    def _has_failed(self, worker: str, state: ShardState) -> bool:
        """Whether this worker should leave a shard to others: storage deserves a second try."""
        of_task = self._task_failures.get(state.shard.id, ())
        of_storage = self._storage_failures.get(state.shard.id)
        return worker in of_task or bool(of_storage and of_storage[worker] >= _OF_ONE_WORKER)

    def _late(self, worker: str) -> ShardState | None:
        """The leased shard that another worker should process, too."""
        alone = [
            state
            for state in self._leased.values()
            if len(state.holders) == 1
            and not state.engines_lost
            and not self._has_failed(worker, state)
        ]
        queued = [state for state in alone if self._is_queued(state)]
        return next(iter(queued or alone), None)

    def _is_queued(self, state: ShardState) -> bool:
        """Whether a shard's holder has not begun it, and holds another that it got earlier."""
        (worker,) = state.holders
        is_first = next(iter(self._held[worker].values())) is state
        return not is_first and state.shard.id in self._ahead[worker]

    def _suspect(self, state: ShardState, cause: str, *, alone: bool) -> bool:
        """Note that an engine died on a shard; returns whether to cut it in two."""
        state.engines_lost += 1
        state.engines_lost_alone += alone
        if self._bisects and state.shard.num_rows > 1:
            return alone and state.engines_lost > 1
        if state.engines_lost_alone >= _SOLO_LOSSES:
            what = "this record" if state.shard.num_rows == 1 else "one of these records"
            state.failure = f"engine died on {what}: {cause}"
        return False

    def _wait(self, state: ShardState, *, first: bool) -> None:
        if state.holders:  # another worker has it too
            return
        self._leased.pop(state.shard.id, None)
        if state.engines_lost:
            self._suspects.wait(state)
        elif first:
            self._waiting.appendleft(state)
        else:
            self._waiting.append(state)

    def _abandon(self, state: ShardState, cause: str) -> None:
        for other in state.holders:
            self._drop(other, state)
        self._leased.pop(state.shard.id, None)
        del self._states[state.shard.id]
        self.abandoned[state.shard.id] = cause

    def _take_all(self, worker: str) -> list[tuple[ShardState, Lease]]:
        """Take all leases from a worker, the last one first."""
        states = reversed(self._held.pop(worker, {}).values())
        self._ahead.pop(worker, None)
        return [(state, state.holders.pop(worker)) for state in states]

    def _release(self, worker: str, lease: Lease) -> ShardState | None:
        state = self._states.get(lease.shard.id)
        if state is None or state.holders.get(worker) != lease:
            return None
        del state.holders[worker]
        self._drop(worker, state)
        return state

    def _drop(self, worker: str, state: ShardState) -> None:
        held = self._held[worker]
        del held[state.shard.id]
        self._ahead[worker].pop(state.shard.id, None)
        if not held:
            del self._held[worker], self._ahead[worker]
