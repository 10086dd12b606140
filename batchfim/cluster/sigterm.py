"""Handle SIGTERM while Ray starts."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = 4096


@contextmanager
def own_sigterm() -> Iterator[None]:
    """Keep this process's SIGTERM handler, which `ray.init` replaces by one that exits at once.

    If that handler raises in a destructor, Python drops the exception; the signal is then passed
    to the original handler afterwards. The signal's number reaches the wakeup descriptor in any
    case.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        except SystemExit:  # from Ray's handler, which exits with the signal's bare number
            raise SystemExit(128 + signal.SIGTERM) from None
        finally:
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGTERM, handler)
        with suppress(BlockingIOError):
            if signal.SIGTERM in reader.recv(_SIGNALS):
                signal.raise_signal(signal.SIGTERM)
