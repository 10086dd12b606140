"""An input of many files with a few rows each."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.api import plan_job, run_job
from batchfim.config.files import load_config
from tests.e2e.conftest import LOCAL, Start

NUM_FILES = 300


def write(folder: Path, num_files: int) -> Path:
    folder.mkdir()
    for file in range(num_files):
        prefixes = [f"def f{file}_{row}(x):\n    return " for row in range(2)]
        pq.write_table(
            pa.table({"prefix": prefixes, "suffix": ["\n"] * 2}), folder / f"{file:04}.parquet"
        )
    return folder


def leased(lines: Iterator[str]) -> Iterator[str]:
    events = (json.loads(line) for line in lines if line.startswith("{"))
    return (event["shard"] for event in events if event["event"] == "leased")


def test_their_rows_fill_the_engine(tmp_path: Path, start: Start) -> None:
    """No middle ever ends, so that a worker has in hand whatever it is given."""
    records = write(tmp_path / "records", NUM_FILES)
    args = ("--input", records, "--output", tmp_path / "out", "--model", "demo", *LOCAL)
    sets = (
        *("engine.simulated.hang_if_contains=def", "metrics.log=json"),
        *("schedule.grace_s=0", "schedule.stop_after_s=60"),  # if it never is full
    )
    process = start("run", *args, *(word for one in sets for word in ("--set", one)))
    assert process.stderr is not None
    in_flight = 0
    for _ in leased(iter(process.stderr)):
        in_flight += 2
        if in_flight == 128:  # as many as the engine takes at once
            break
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert in_flight == 128


def test_that_they_are_too_small_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = {
        "input.paths": [str(write(tmp_path / "records", 1000))],
        "output.path": str(tmp_path / "out"),
        "model.path": "demo",
    }
    config = load_config(None, flags, LOCAL[1::2])
    warnings = plan_job(config, sample_rows=20)["warnings"]
    assert any(line.startswith("small files: ") for line in warnings)
    run_job(config)
    assert "merge them into files of some thousand rows" in caplog.text


def test_the_one_that_kills_engines_is_found_among_hundreds(tmp_path: Path) -> None:
    flags = {
        "input.paths": [str(write(tmp_path / "records", NUM_FILES))],
        "output.path": str(tmp_path / "out"),
        "model.path": "demo",
        "engine.simulated.die_if_contains": "f7_0(",
    }
    summary = run_job(load_config(None, flags, LOCAL[1::2])).summary
    assert (summary["rows"]["ok"], summary["rows"]["failed"]) == (2 * NUM_FILES - 1, 1)
    # Of 300 shards, groups of 17, 4, 2 and 1, which is cut in two; then the row alone, twice.
    assert summary["runs"][-1]["workers_lost"] <= 9
