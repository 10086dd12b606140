"""What a CronJob counts on, night after night: real processes, one output."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from batchfim.accounts.status import job_status
from batchfim.accounts.status_text import status_text
from tests.jobs.conftest import ended, start_module

LOCAL = ("--set", "schedule.pool=local", "--set", "input.paths=[inbox/]")
SLOW = (  # minutes: none ends by itself
    *(*LOCAL, "--set", "schedule.shard_rows=2", "--set", "schedule.grace_s=0"),
    *("--set", "engine.simulated.decode_tokens_per_s=4"),
    *("--set", "engine.simulated.max_num_seqs=2"),
)


def receive(folder: Path, day: int) -> None:
    """A day's file of 40 records."""
    (folder / "inbox").mkdir(exist_ok=True)
    ids = [f"day{day}-{row}" for row in range(40)]
    columns = {"id": ids, "prefix": [f"def {i}" for i in ids], "suffix": ["\n"] * len(ids)}
    pq.write_table(pa.table(columns), folder / "inbox" / f"day-{day}.parquet")


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    return start_module("jobs.infill", "--job-file", "job.yaml", *args, folder=folder)


def runs(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "out" / "_batchfim" / "runs").iterdir())
    return [json.loads(file.read_text()) for file in files]


def parts(folder: Path) -> dict[str, int]:
    return {part.name: part.stat().st_mtime_ns for part in (folder / "out").glob("part-*")}


def num_rows(folder: Path) -> int:
    rows = ds.dataset(folder / "out").to_table(columns=["id"])["id"].to_pylist()
    assert len(set(rows)) == len(rows)
    return len(rows)


def wait_for_parts(folder: Path, process: subprocess.Popen[str], num: int) -> None:
    while len(parts(folder)) < num:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_each_night_works_what_the_day_brought(job_file: Path) -> None:
    folder = job_file.parent
    receive(folder, 1)
    ended(start(folder, *LOCAL))
    first = parts(folder)
    receive(folder, 2)
    ended(start(folder, *LOCAL))
    assert num_rows(folder) == 80
    assert first.items() <= parts(folder).items()
    out, _ = ended(start(folder, *LOCAL))
    assert "nothing was left to do" in out
    assert [run["run"].get("records", 0) for run in runs(folder)] == [40, 40, 0]
    assert [run["end"] for run in runs(folder)] == ["complete"] * 3


def test_a_start_that_overlaps_exits_with_75_and_disturbs_nothing(job_file: Path) -> None:
    folder = job_file.parent
    receive(folder, 1)
    night = start(folder, *SLOW)
    wait_for_parts(folder, night, 1)
    before = parts(folder)
    _, err = ended(start(folder, *SLOW), 75)
    assert "error: " in err
    wait_for_parts(folder, night, len(before) + 1)
    assert before.items() <= parts(folder).items()
    assert len(runs(folder)) == 1
    watching = start_module("batchfim", "status", "out", "--watch", folder=folder)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("out: running, by process ")
    night.send_signal(signal.SIGTERM)
    ended(night, 143)
    out, _ = ended(watching)  # by itself, as nobody works on the job any more
    assert "out: stopped" in out


def test_a_night_that_was_cut_short_or_failed_is_finished_by_the_next(job_file: Path) -> None:
    folder = job_file.parent
    receive(folder, 1)
    stopped = start(folder, *SLOW)
    wait_for_parts(folder, stopped, 1)
    stopped.send_signal(signal.SIGTERM)
    ended(stopped, 143)
    ended(start(folder, *LOCAL, "--set", "engine.simulated.fail_start=true"), 2)
    killed = start(folder, *SLOW)
    while len(runs(folder)) < 3:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    ended(start(folder, *LOCAL))

    assert num_rows(folder) == 40
    assert [run["end"] for run in runs(folder)] == ["stopped", "failed", None, "complete"]
    text = status_text(job_status(str(folder / "out")))
    assert "running, or killed" in text
    assert sum(line.startswith("20") for line in text.splitlines()) == 4
