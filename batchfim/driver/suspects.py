"""Suspects: shards in whose hands an engine died, until they are cleared. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isqrt

from batchfim.shards import Lease, Shard


@dataclass(eq=False, slots=True)
class ShardState:
    """What is known of a shard that is not complete."""

    shard: Shard
    attempts: int = 0
    nodes_lost: int = 0
    engines_lost: int = 0
    engines_lost_alone: int = 0
    failure: str | None = None
    holders: dict[str, Lease] = field(default_factory=dict)  # by worker
    group: int | None = None  # of suspects; None unless an engine died on it


class Suspects:
    """Suspects that wait for a lease, in groups; a worker has suspects of one group and no others.

    When an engine dies, at most one of the shards it had is to blame, as a rule. They become groups
    of the square root of their number, and if an engine dies on one of these, groups of the root
    again. Of 1,000 shards, the one is found in some 40 turns and 4 engines. One by one it would
    take 1,000 turns, in which the engine is nearly idle; by halves 10 engines, and to start one may
    take minutes.
    """

    def __init__(self) -> None:
        self._groups: dict[int, deque[ShardState]] = {}  # no empty entries
        self._num_waiting = 0
        self._num_groups = 0

    def __len__(self) -> int:
        return self._num_waiting

    def divide(self, states: Sequence[ShardState]) -> None:
        """Make groups of the shards that a dead engine had; they do not wait yet."""
        size = isqrt(len(states)) or 1
        for start in range(0, len(states), size):
            self.group(states[start : start + size])

    def group(self, states: Iterable[ShardState]) -> None:
        """Make a group of shards; they do not wait yet."""
        self._num_groups += 1
        for state in states:
            state.group = self._num_groups

    def wait(self, state: ShardState) -> None:
        """Let a shard wait in its group."""
        assert state.group is not None
        self._groups.setdefault(state.group, deque()).append(state)
        self._num_waiting += 1

    def take(self, group: int | None = None) -> ShardState | None:
        """The next shard of a group, or of the oldest one; None if none waits there."""
        if group is None:
            group = next(iter(self._groups), None)
        if group is None or group not in self._groups:
            return None
        state = self._groups[group].popleft()
        self._left(group)
        return state

    def remove(self, state: ShardState) -> None:
        """Take a waiting shard out of its group."""
        assert state.group is not None
        self._groups[state.group].remove(state)
        self._left(state.group)

    def _left(self, group: int) -> None:
        self._num_waiting -= 1
        if not self._groups[group]:
            del self._groups[group]
