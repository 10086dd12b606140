"""The lease between processes: the live one keeps it, a killed one loses it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from batchfim.errors import JobHeld
from batchfim.storage.job_lease import JobLease
from batchfim.storage.location import Location

HOLD = """
import sys
from batchfim.errors import JobHeld
from batchfim.storage.job_lease import JobLease
from batchfim.storage.location import Location
print("here", flush=True)
sys.stdin.readline()
try:
    with JobLease(Location.of(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except JobHeld:
    print("refused", flush=True)
"""
Process = subprocess.Popen[str]


def start(folder: Location, num: int) -> list[Process]:
    """Processes that have all imported what they need and wait for the word."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, folder.path]
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(num)]
    assert [_answer(process) for process in started] == ["here"] * num
    return started


def _say(process: Process) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def _answer(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def holder(folder: Location) -> Iterator[Process]:
    (process,) = start(folder, 1)
    _say(process)
    assert _answer(process) == "held"
    yield process
    process.kill()
    process.communicate()


def names(folder: Location) -> list[str]:
    return [info.base_name for info in folder.list()]


def test_a_live_process_keeps_it(folder: Location, holder: Process) -> None:
    with pytest.raises(JobHeld, match=f"process {holder.pid} on"):
        JobLease(folder).__enter__()
    _say(holder)
    assert holder.wait() == 0
    with JobLease(folder):
        pass


@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_process_loses_it_at_once(folder: Location, holder: Process, reaped: bool) -> None:
    """Also while nobody has collected its exit status, as under a container's idle process 1."""
    holder.send_signal(signal.SIGKILL)
    if reaped:
        holder.wait()
    else:
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    assert len(names(folder)) == 1
    with JobLease(folder):
        assert len(names(folder)) == 1


def test_of_many_processes_one_holds(folder: Location) -> None:
    processes = start(folder, 3)
    for process in processes:
        _say(process)
    assert sorted(map(_answer, processes)) == ["held", "refused", "refused"]
    for process in processes:
        process.communicate("go\n" if process.poll() is None else None)
    assert names(folder) == []
