"""The whole way on real vLLM engines: Jobs API, Ray actors, the demo model, metrics of both.

The engine speculates, and has a KV cache that its prompts do not all fit into.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow.dataset as ds
import requests

from tests.jobs.conftest import Head, Submit, ended

VLLM = (
    *("--set", "engine.backend=vllm", "--set", "sampling.max_tokens=16"),
    *("--set", "engine.args.enforce_eager=true"),  # it starts in half the time
    *("--set", 'engine.args.speculative_config={"method": "ngram", "num_speculative_tokens": 3}'),
    *("--set", "engine.max_model_len=512", "--set", "engine.args.num_gpu_blocks_override=20"),
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
    summary = json.loads((tmp_path / "out" / "_batchfim" / "summary.json").read_text())
    assert summary["tokens"]["drafted"] > summary["tokens"]["accepted"] > 0
    assert summary["preemptions"] == sum(row["num_preemptions"] for row in rows) > 0
    assert "preemptions: raise engine.kv_cache_gib" in out
    assert "ray_vllm_generation_tokens_total{" in scraped

    out, _ = ended(submit(*VLLM))
    assert "nothing was left to do" in out
