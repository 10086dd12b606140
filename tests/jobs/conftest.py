"""A real Ray head with the Jobs API and the metrics agent, and the entry points as processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import yaml

from tests.processes import end_all

ROOT = Path(__file__).parents[2]

Submit = Callable[..., subprocess.Popen[str]]


def environment(**more: str) -> dict[str, str]:
    """This checkout and this Python, also for what Ray starts."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **more}


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Head:
    """Where a Ray head answers."""

    jobs: str
    metrics: str


@pytest.fixture(scope="session")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """`ray start --head`, in a process group of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bf-"))
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port")
    ports = {name: free_port() for name in names}
    command = [
        *(Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=4"),
        *("--disable-usage-stats", "--system-config", '{"metrics_report_interval_ms": 500}'),
        # A folder of its own, with a short name for its sockets: Ray's jobs go by it to their head.
        *("--temp-dir", str(folder)),
        *(f"--{name}={port}" for name, port in ports.items()),
    ]
    log = (tmp_path_factory.mktemp("head") / "log").open("w+")
    process = subprocess.Popen(
        command,
        env=environment(RAY_AUTH_MODE="disabled"),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    jobs = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        metrics = f"http://127.0.0.1:{ports['metrics-export-port']}/metrics"
        for url in (f"{jobs}/api/version", metrics):
            _wait_for(url, process, log.name)
        yield Head(jobs, metrics)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: str) -> None:
    while process.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise AssertionError(Path(log).read_text())


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    """A job of 200 small records in 10 shards, on the simulated engine."""
    rows = range(200)
    table = pa.table(
        {
            "id": [f"r{row}" for row in rows],
            "prefix": [f"def f{row}(x):\n    return " for row in rows],
            "suffix": [f"\n\nprint(f{row}(1))\n" for row in rows],
        }
    )
    pq.write_table(table, tmp_path / "records.parquet")
    job = {
        "input": {"paths": ["records.parquet"]},
        "output": {"path": "out"},
        "model": {"path": "demo"},
        "engine": {"backend": "simulated"},
        "schedule": {"shard_rows": 20},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


@pytest.fixture
def submit(head: Head, job_file: Path) -> Iterator[Submit]:
    """Start `jobs.submit --backend ray ARGS` in the job file's folder."""
    started: list[subprocess.Popen[str]] = []

    def popen(*args: str, address: str = head.jobs) -> subprocess.Popen[str]:
        options = ("--backend", "ray", "--job-file", job_file.name, "--address", address, *args)
        process = start_module("jobs.submit", *options, folder=job_file.parent)
        started.append(process)
        return process

    yield popen
    end_all(started)


def start_module(module: str, *args: str, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", module, *args],
        cwd=folder,
        env=environment(RAY_AUTH_MODE="disabled"),
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """Its standard output and error, once it has ended with this code."""
    out, err = process.communicate()
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
    return out, err
