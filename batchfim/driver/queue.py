"""ShardQueue: who works which shard. Pure: no Ray, no file system, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from batchfim.shards import Lease, Shard


@dataclass(eq=False)
class _State:
    shard: Shard
    attempts: int = 0
    task_failures: int = 0
    worker_losses: int = 0
    verdict: str | None = None
    holder: str | None = None


class ShardQueue:
    """Leases, attempts and two budgets, so that lost machines do not use up a shard's own tries.

    A report counts only if it is of the current attempt of the worker that holds the lease:
    anything late or repeated is recognised by that and ignored.
    """

    def __init__(self, shards: Iterable[Shard], task_attempts: int, worker_losses: int) -> None:
        self._states = {shard.id: _State(shard) for shard in shards}
        self._waiting = deque(self._states.values())
        self._held: dict[str, dict[str, _State]] = {}
        self.abandoned: dict[str, str] = {}
        self._task_attempts = task_attempts
        self._worker_losses = worker_losses

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
        return len(self._waiting)

    @property
    def num_leased(self) -> int:
        return len(self._states) - len(self._waiting)

    def num_held(self, worker: str) -> int:
        """Leases a worker has in hand."""
        return len(self._held.get(worker, {}))

    def lease(self, worker: str) -> Lease | None:
        """The next shard for a worker, in plan order, or None where none fits."""
        state = self._next(self._held.get(worker, {}))
        if state is None:
            return None
        self._waiting.remove(state)
        state.attempts += 1
        state.holder = worker
        self._held.setdefault(worker, {})[state.shard.id] = state
        return Lease(state.shard, state.attempts, state.verdict)

    def complete(self, worker: str, lease: Lease) -> bool:
        """Whether this report is the one that counts; the shard is done with it."""
        if self._release(worker, lease) is None:
            return False
        del self._states[lease.shard.id]
        return True

    def fail(self, worker: str, lease: Lease, cause: str) -> None:
        """The attempt raised; the shard waits again, or is given up with the cause."""
        state = self._release(worker, lease)
        if state is None:
            return
        if state.verdict is not None:  # not even its failure could be written
            del self._states[lease.shard.id]
            self.abandoned[lease.shard.id] = cause
            return
        state.task_failures += 1
        if state.task_failures >= self._task_attempts:
            state.verdict = f"{state.task_failures} attempts failed, the last with: {cause}"
        self._waiting.append(state)

    def lost(self, worker: str, cause: str) -> None:
        """A worker is gone; its shards wait again, before the others, or are given up."""
        for state in reversed(self._held.pop(worker, {}).values()):
            state.holder = None
            if state.verdict is not None:  # reading it is enough to lose a worker
                del self._states[state.shard.id]
                self.abandoned[state.shard.id] = cause
                continue
            state.worker_losses += 1
            if state.worker_losses > self._worker_losses:
                state.verdict = f"{state.worker_losses} workers were lost, the last with: {cause}"
            self._waiting.appendleft(state)

    def give_back(self, worker: str) -> None:
        """A worker returns its leases unworked; no budget is touched."""
        for state in reversed(self._held.pop(worker, {}).values()):
            state.holder = None
            self._waiting.appendleft(state)

    def _next(self, held: dict[str, _State]) -> _State | None:
        """The first shard that may join those held.

        One that lost a worker is worked alone, so that it takes no others down with it.
        """
        if any(state.worker_losses for state in held.values()):
            return None
        fitting = (state for state in self._waiting if not (held and state.worker_losses))
        return next(fitting, None)

    def _release(self, worker: str, lease: Lease) -> _State | None:
        state = self._states.get(lease.shard.id)
        if state is None or state.holder != worker or state.attempts != lease.attempt:
            return None
        state.holder = None
        del self._held[worker][lease.shard.id]
        return state
