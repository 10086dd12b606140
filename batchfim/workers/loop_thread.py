"""An event loop in its own thread, for engines that run in this process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class LoopThread:
    """An event loop that runs in a thread from construction until `end`."""

    def __init__(self, name: str) -> None:
        self._loop = uvloop.new_event_loop()  # as in Ray actors
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop; may be called from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self, last: Coroutine[Any, Any, None], timeout_s: float) -> None:
        """Run a last coroutine for at most `timeout_s`, then stop the loop.

        If called from the loop's own thread, another thread does this.
        """
        if threading.current_thread() is self._thread:
            threading.Thread(target=self.end, args=(last, timeout_s)).start()
            return
        try:
            with contextlib.suppress(TimeoutError):
                self.run(last).result(timeout_s)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout_s)
            if not self._thread.is_alive():
                self._loop.close()  # garbage collection would not close its descriptors
