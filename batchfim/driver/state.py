"""The state of a run, as the driver reports it to watchers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from batchfim.metrics.report import Counts


@dataclass(frozen=True)
class RunState:
    """State of a run; counts cover what this run has committed.

    `num_wanted` is the number of requested workers; `commits_s` are the seconds of each commit
    since the last state.
    """

    counts: Counts = field(default_factory=Counts)
    records: int = 0
    shards: dict[str, int] = field(default_factory=dict)  # by state
    commits_s: tuple[float, ...] = ()
    num_wanted: int = 0
    num_starting: int = 0
    num_ready: int = 0
    num_lost: int = 0
    idle_share: float = 0.0


class Watcher(Protocol):
    """An observer of a run."""

    def update(self, state: RunState) -> None:
        """Receive the state of the run; called twice a second and at the end."""


class IdleTime:
    """Time that ready workers spend without a lease, in worker-seconds."""

    def __init__(self) -> None:
        self.idle_s = 0.0
        self.ready_s = 0.0
        self._last_s: float | None = None

    @property
    def share(self) -> float:
        """Idle share of the ready workers' time; 0 before the first worker is ready."""
        return self.idle_s / self.ready_s if self.ready_s else 0.0

    def pass_time(self, now_s: float, num_ready: int, num_busy: int) -> None:
        """Add the time since the last call, in which `num_busy` of `num_ready` had a lease."""
        elapsed_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        self.ready_s += elapsed_s * num_ready
        self.idle_s += elapsed_s * max(num_ready - num_busy, 0)
