"""The whole way on real vLLM engines: Jobs API, Ray actors, the demo model, metrics of both."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.dataset as ds
import requests

from tests.jobs.conftest import Head, Submit, ended

VLLM = (
    *("--set", "engine.backend=vllm", "--set", "sampling.max_tokens=16"),
    *("--set", "engine.args.enforce_eager=true"),  # it starts in half the time
    *("--set", "input.keep=[id]", "--set", "schedule.shard_rows=50"),
)


def test_a_submitted_job_fills_holes_with_vllm_and_a_second_run_starts_no_engine(
    submit: Submit, tmp_path: Path, head: Head
) -> None:
    process = submit(*VLLM)
    scraped = ""
    while process.poll() is None:
        now = requests.get(head.metrics, timeout=30).text
        scraped = now if "ray_vllm_" in now else scraped
        time.sleep(0.5)
    out, _ = ended(process)
    assert "200 records in 4 shards: 200 ok" in out
    rows = ds.dataset(tmp_path / "out").to_table().to_pylist()
    assert sum(bool(row["middle"]) for row in rows) > 100
    assert "ray_vllm_generation_tokens_total{" in scraped

    out, _ = ended(submit(*VLLM))
    assert "nothing was left to do" in out
