"""Which workers stand still. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class StallWatch:
    """Compares each worker's count of steps with what it was, and how long ago.

    It does not matter what stands still, the engine's core, its front end or the whole process:
    none of them makes a step, or none answers how many it has made.
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
        """Workers that made no step for too long.

        Args:
            steps: made so far, as last heard; a worker that has no process yet is not in it.
            starting: workers whose engine is not up.
            busy: workers with something to do.
            now_s: on any clock that only goes forward.

        Returns:
            for how many seconds each has stood still.
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
