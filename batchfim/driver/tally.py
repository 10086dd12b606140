"""What a run has committed so far. Pure."""

from __future__ import annotations

from batchfim.driver.committer import Committed
from batchfim.metrics.shard_report import Counts


class Tally:
    """Counts of committed shards, which are summed only when they are asked for."""

    def __init__(self) -> None:
        self.shards = 0
        self.records = 0
        self._counts = Counts()
        self._not_summed: list[Counts] = []
        self._commits_s: list[float] = []

    def add(self, done: Committed) -> None:
        """Count a committed shard; of a retried one, what the retry processed."""
        worked = done.report.retried or done.report
        self.shards += 1
        self.records += worked.records
        self._not_summed.append(worked.counts)
        self._commits_s.append(done.commit_s)

    @property
    def counts(self) -> Counts:
        """Rows and tokens."""
        if self._not_summed:
            self._counts = Counts.sum((self._counts, *self._not_summed))
            self._not_summed.clear()
        return self._counts

    def take_commits_s(self) -> tuple[float, ...]:
        """Seconds of each commit since the last call."""
        taken = tuple(self._commits_s)
        self._commits_s.clear()
        return taken
