"""Comparisons as a person starts them: ended in the middle and gone on with, and on real vLLM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.comparing import DEMO, comparison, told
from tests.processes import end_all

SLOW = {"simulated": {"decode_tokens_per_s": 20, "max_num_seqs": 1}}


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.compare_families", str(folder / "compare.yaml")]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, "-o", str(folder / "out")], stdout=pipe, stderr=pipe, text=True
    )


def finish(folder: Path) -> subprocess.Popen[str]:
    process = start(folder)
    try:
        out, err = process.communicate(timeout=600)
    finally:
        end_all([process])
    assert process.returncode == 0, out + err
    return process


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/part-*.parquet")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_signal_ended_is_gone_on_with(
    number: signal.Signals, tmp_path: Path, records: Path
) -> None:
    first, second = (DEMO | {"name": name, "orders": ["psm"]} for name in ("first", "second"))
    job: dict[str, Any] = {"schedule": {"pool": "local", "shard_rows": 2}}
    comparison(tmp_path, records, first, second | {"engine": SLOW}, **job)
    process = start(tmp_path)
    try:
        while not list((tmp_path / "out" / "second-psm").glob("part-*.parquet")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(timeout=120) == 128 + number
    finally:
        end_all([process])
    states = {name: row["state"] for name, row in told(tmp_path / "out").items()}
    assert states == {"first-psm": "complete", "second-psm": "interrupted"}
    before = written(tmp_path / "out")
    speed = told(tmp_path / "out")["first-psm"]["speed"]

    finish(tmp_path)
    rows = told(tmp_path / "out")
    assert {row["state"] for row in rows.values()} == {"complete"}
    assert rows["first-psm"]["speed"] == speed
    assert rows["second-psm"]["rows"]["ok"] == 20
    assert before.items() <= written(tmp_path / "out").items()


def test_dummy_weights_on_vllm_have_a_speed_and_no_quality(tmp_path: Path, records: Path) -> None:
    engine = {
        "backend": "vllm",
        "max_model_len": 512,
        "kv_cache_gib": 0.25,
        "args": {"dtype": "float32", "enforce_eager": True, "max_num_seqs": 8},
    }
    model = DEMO | {"orders": ["psm"], "load_format": "dummy"}
    comparison(tmp_path, records, model, engine=engine, schedule={"workers": 1})
    finish(tmp_path)
    row = told(tmp_path / "out")["demo-psm"]
    assert (row["state"], row["backend"], row["weights"]) == ("complete", "vllm", "dummy")
    assert row["rows"]["ok"] == 20
    assert row["speed"]["records_per_s"] > 0
    assert row["quality"] == {}
    assert "dummies" in row["no_quality"]
    job = json.loads((tmp_path / "out" / "demo-psm" / "_batchfim" / "job.json").read_text())
    assert job["config"]["engine"]["args"]["load_format"] == "dummy"
    assert "dummies" in (tmp_path / "out" / "comparison.md").read_text()
