"""The state of a run, as the driver reports it to watchers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from batchfim.metrics.shard_report import Counts


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
