"""Processes that a test starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable


def end_all(started: Iterable[subprocess.Popen[str]]) -> None:
    """Kill those that still run, and wait for them."""
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
