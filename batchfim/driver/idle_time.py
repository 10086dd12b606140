"""How much of the workers' time is idle. Pure."""

from __future__ import annotations


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
