"""Processes that a test starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import psutil


def end_all(started: Iterable[subprocess.Popen[str]]) -> None:
    """Kill those that still run, and wait for them."""
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_core(process: psutil.Process) -> bool:
    """Whether it is the core of a vLLM engine; one that has ended since it was listed is none."""
    try:
        return "EngineCor" in process.name()
    except psutil.NoSuchProcess:
        return False
