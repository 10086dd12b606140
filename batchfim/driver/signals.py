"""Stop on Ctrl-C and SIGTERM without losing what is in the middle of a commit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopSignal:
    """The number of the signal that came, if one came."""

    number: int | None = None

    def grace_s(self, after_sigterm_s: float) -> float | None:
        """How long shards in hand may still take; None while nobody asked to stop.

        Who presses Ctrl-C waits; what sends SIGTERM said beforehand how long it waits.
        """
        if self.number is None:
            return None
        return after_sigterm_s if self.number == signal.SIGTERM else 0.0


@contextmanager
def exit_signals() -> Iterator[None]:
    """Leave at once on SIGINT and SIGTERM, for work that is done again from its start."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    stop = StopSignal()

    def leave(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.number is not None:  # it came where Python drops what is raised, as in a destructor
        raise SystemExit(128 + stop.number)


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Note the first SIGINT or SIGTERM; a second one has its usual effect.

    Signals reach the main thread only: elsewhere nothing is noted.
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        restore()

    for number in numbers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
