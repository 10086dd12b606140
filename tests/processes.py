"""Processes that a test starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import psutil

CORE = "EngineCor"  # in the name of the core of a vLLM engine


def end_all(started: Iterable[subprocess.Popen[str]]) -> None:
    """Kill those that still run, and wait for them."""
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def named(word: str, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that have `word` in their name or command; one that has ended meanwhile has none."""
    return [process for process in processes if word in _words(process)]


def engine_cores(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Cores of vLLM engines, by their title, or by how they are started.

    A process that changes the first of its environment's variables before it sets its title gets
    none (`setproctitle` finds its arguments by that variable), and which is first is chance.
    """
    processes = list(processes)
    return named(CORE, processes) or named("multiprocessing.spawn", processes)


def _words(process: psutil.Process) -> str:
    try:
        return " ".join((process.name(), *process.cmdline()))
    except psutil.NoSuchProcess:
        return ""
