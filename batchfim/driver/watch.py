"""Detect stalled workers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class StallWatch:
    """Tracks how long each worker's step count has not changed.

    It does not matter whether the engine's core, its front end or the whole process hangs: either
    way no step is made, or the count is not answered.
    """

    def __init__(self, stall_timeout_s: float, start_timeout_s: float) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._start_timeout_s = start_timeout_s
        self._since: dict[str, tuple[tuple[bool, int], float]] = {}

    def stalled(
        self,
        steps: Mapping[str, int],
        starting: Collection[str],
        busy: Collection[str],
        now_s: float,
    ) -> dict[str, float]:
        """Find workers that made no progress for too long.

        Args:
            steps: last known step count by worker; workers without a process are not included.
            starting: workers whose engine is not up yet.
            busy: workers with a lease.
            now_s: time on any monotonic clock.

        Returns:
            Seconds without progress by stalled worker.
        """
        before, self._since = self._since, {}
        late: dict[str, float] = {}
        unknown = None, now_s
        for worker, count in steps.items():
            is_starting = worker in starting
            state = is_starting, count
            known, since_s = before.get(worker, unknown)
            if known != state or not (is_starting or worker in busy):
                since_s = now_s
            self._since[worker] = state, since_s
            if now_s - since_s > (self._start_timeout_s if is_starting else self._stall_timeout_s):
                late[worker] = now_s - since_s
        return late
