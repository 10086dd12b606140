"""Stop on Ctrl-C and SIGTERM without losing a commit in progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class StopSignal:
    """The number of the received signal, if there was one."""

    number: int | None = None

    def grace_s(self, after_sigterm_s: float) -> float | None:
        """Seconds that leased shards may still take; None if no signal was received.

        0 after Ctrl-C, as a user is waiting; `after_sigterm_s` after SIGTERM.
        """
        if self.number is None:
            return None
        return after_sigterm_s if self.number == signal.SIGTERM else 0.0


@contextmanager
def exit_signals() -> Iterator[None]:
    """Exit at once on SIGINT and SIGTERM, for work that restarts from its beginning."""
    stop = StopSignal()

    def leave(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        raise SystemExit(128 + number)

    with _handled_by(leave):
        yield
    if stop.number is not None:  # it came where Python ignores exceptions, as in a destructor
        raise SystemExit(128 + stop.number)


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Record the first SIGINT or SIGTERM; a second one has its usual effect."""
    stop = StopSignal()

    def note(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        restore()

    with _handled_by(note) as restore:
        yield stop


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], None],
) -> Iterator[Callable[[], None]]:
    """Handle SIGINT and SIGTERM; yields a function that restores the handlers early.

    Signals reach only the main thread: in other threads this does nothing.
    """
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, usual in before.items():
            signal.signal(number, usual)

    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGINT, signal.SIGTERM)
        before |= {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            signal.signal(number, handler)
    try:
        yield restore
    finally:
        restore()
