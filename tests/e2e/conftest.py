"""The command line as a person uses it: real processes, real files."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.processes import end_all

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

SIMULATED = tuple(
    word
    for setting in ("engine.backend=simulated", "metrics.progress=none", "metrics.report=false")
    for word in ("--set", setting)
)
LOCAL = (*SIMULATED, "--set", "schedule.pool=local")


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "batchfim", *map(str, args)]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run `batchfim ARGS` to its end; `code` is the exit code it must have."""

    def run(*args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command(*args), capture_output=True, text=True, check=False)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `batchfim ARGS` in its own process group; what is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def popen(*args: object) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command(*args), stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield popen
    end_all(started)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder with 200 small records in two files."""
    folder = tmp_path / "records"
    folder.mkdir()
    for file in range(2):
        rows = range(file * 100, file * 100 + 100)
        table = pa.table(
            {
                "id": [f"r{row}" for row in rows],
                "prefix": [f"def f{row}(x):\n    return " for row in rows],
                "suffix": [f"\n\nprint(f{row}(1))\n" for row in rows],
            }
        )
        pq.write_table(table, folder / f"part-{file}.parquet")
    return folder


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Everything a run started: Ray, its workers, their engines."""
    return psutil.Process(process.pid).children(recursive=True)


def still_alive(processes: list[psutil.Process], within_s: float = 60) -> list[psutil.Process]:
    """Those that do not end in time; psutil's own wait stumbles over pids that are used again."""
    end_s = time.monotonic() + within_s
    while (alive := [one for one in processes if _lives(one)]) and time.monotonic() < end_s:
        time.sleep(0.2)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def parts(output: Path) -> dict[str, int]:
    """Visible parts and when each was written."""
    return {file.name: file.stat().st_mtime_ns for file in output.glob("part-*.parquet")}
