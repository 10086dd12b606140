"""The processes of a run, and the signals that hit them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time

import psutil

from benchmarks.chaos.kills import Kill

_SIGNALS = {
    "driver": signal.SIGKILL,
    "actor": signal.SIGKILL,
    "engine": signal.SIGKILL,
    "hang": signal.SIGSTOP,  # until `schedule.stall_timeout_s` detects it
}
_END_S, _LOOK_S = 90.0, 0.5


class Victims:
    """A run's processes, including all that were ever seen, to find those left behind."""

    def __init__(self) -> None:
        self._seen: set[psutil.Process] = set()

    def has(self, driver: subprocess.Popen[str], target: str) -> bool:
        """Whether such a process currently exists."""
        return bool(self._find(driver, target))

    def hit(self, driver: subprocess.Popen[str], kill: Kill) -> bool:
        """Send the signal; False if no such process currently exists."""
        found = self._find(driver, kill.target)
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            found[int(kill.pick * len(found))].send_signal(_SIGNALS[kill.target])
        return True

    def wake(self) -> None:
        """Resume stopped processes after their driver has died, as they may still be writing."""
        for process in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def left_behind(self) -> list[str]:
        """Kill processes that outlive their driver for long, and return their names."""
        end_s = time.monotonic() + _END_S
        while (alive := [one for one in self._seen if _lives(one)]) and time.monotonic() < end_s:
            time.sleep(_LOOK_S)
        names = []
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                names.append(process.name())
                process.kill()
        return sorted(names)

    def _find(self, driver: subprocess.Popen[str], target: str) -> list[psutil.Process]:
        try:
            children = psutil.Process(driver.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self._seen.update(children)
        if target == "driver":
            return [psutil.Process(driver.pid)]
        matching = [process for process in children if _is(process, target)]
        return sorted(matching, key=lambda process: process.pid)


def _lives(process: psutil.Process) -> bool:
    try:
        lives: bool = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return lives


def _is(process: psutil.Process, target: str) -> bool:
    try:
        if process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            return False
        if target == "engine":
            return "EngineCor" in str(process.name())
        return "_Actor" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
