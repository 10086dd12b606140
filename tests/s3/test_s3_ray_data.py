"""A job's results in a bucket as the source of a Ray Data pipeline, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.api import run_job
from batchfim.config.files import load_config

SCRIPT = """
import sys
import ray
from batchfim.ray_data import read_results

ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level="ERROR")
rows = read_results(sys.argv[1])
print(rows.count(), sum(row["number"] for row in rows.take_all()))
"""
SETS = ("engine.backend=simulated", "schedule.pool=local", "metrics.progress=none")


def test_the_rows_are_read_from_the_bucket(bucket: str, tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    texts = {"prefix": ["def f():\n"] * 40, "suffix": ["\n"] * 40}
    pq.write_table(pa.table(texts | {"number": range(40)}), path)
    flags = {"input.paths": [str(path)], "output.path": f"{bucket}/out", "model.path": "demo"}
    run_job(load_config(None, flags, (*SETS, "schedule.shard_rows=15")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"{bucket}/out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"40 {sum(range(40))}"
