"""The driver's log of a whole job: one line for each event."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SETS = (
    *("engine.backend=simulated", "schedule.pool=local", "schedule.shard_rows=10"),
    *("metrics.progress=lines", "engine.simulated.fail_if_contains=f7", "schedule.task_attempts=1"),
)


def run(folder: Path, log: str) -> list[str]:
    """Lines on standard error of a job of 30 records."""
    records = folder / "records.parquet"
    prefixes = [f"def f{row}(x):\n" for row in range(30)]
    pq.write_table(pa.table({"prefix": prefixes, "suffix": ["\n"] * 30}), records)
    args = ("--input", records, "--output", folder / "out", "--model", "demo")
    sets = [word for text in (*SETS, f"metrics.log={log}") for word in ("--set", text)]
    command = [sys.executable, "-m", "batchfim", "run", *map(str, args), *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    return done.stderr.splitlines()


def test_each_line_is_json_with_job_run_shard_and_attempt(tmp_path: Path) -> None:
    events = [json.loads(line) for line in run(tmp_path, "json")]
    assert {event["job"] for event in events} == {str(tmp_path / "out")}
    assert len({event["run"] for event in events}) == 1
    counted = Counter(event["event"] for event in events)
    assert (counted["ready"], counted["leased"], counted["committed"]) == (1, 3, 3)
    leased = {(e["shard"], e["attempt"], e["worker"]) for e in events if e["event"] == "leased"}
    committed = [event for event in events if event["event"] == "committed"]
    assert {(e["shard"], e["attempt"], e["worker"]) for e in committed} == leased
    assert sum(event["ok"] + event["failed"] for event in committed) == 30


def test_as_text_an_event_is_one_line_too(tmp_path: Path) -> None:
    lines = run(tmp_path, "text")
    committed = [line for line in lines if " info committed shard=" in line]
    assert len(committed) == 3
    assert all(" attempt=1 worker=worker-0 ok=" in line for line in committed)


def test_unasked_only_progress_is_told(tmp_path: Path) -> None:
    told = "\n".join(run(tmp_path, "warnings"))
    assert "the first engine is ready" in told
    assert "leased" not in told
    assert "committed" not in told
