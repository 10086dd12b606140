"""Records in a Parquet file, hostile ones among them, for a job and for a Ray Data pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import ray.data

from batchfim.api import run_job
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.ray_data import infill

Rows = list[dict[str, Any]]
NUM_ROWS = 60
# What says when, where and in which company a row was worked, and not what became of it.
OF_THE_WORK = ("queue_s", "ttft_s", "tpot_s", "latency_s", "worker", "attempt", "copied")
SETTINGS = {
    "model.path": "demo",
    "engine.backend": "simulated",
    "engine.max_model_len": 128,
    "sampling.max_tokens": 48,
    "infill.truncation.enabled": False,
    "schedule.pool": "local",
    "metrics.progress": "none",
    "metrics.report": False,
}


def records() -> pa.Table:
    """Every seventh has no prefix, every eleventh is too long."""
    rows = range(NUM_ROWS)
    prefixes = [None if i % 7 == 0 else f"def f{i}(x):\n    return " for i in rows]
    suffixes = ["\nx = 1" * 99 if i % 11 == 0 else f"\n\nprint(f{i}(1))\n" for i in rows]
    return pa.table(
        {
            "id": [f"r{i}" for i in rows],
            "prefix": prefixes,
            "suffix": pa.array(suffixes, pa.large_string()),
            "meta": [{"stars": i, "tags": ["a", None]} if i % 2 else None for i in rows],
        }
    )


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., JobConfig]:
    """A job over a file of the records, with settings."""
    pq.write_table(records(), tmp_path / "records.parquet", row_group_size=20)
    flags = {
        "input.paths": [str(tmp_path / "records.parquet")],
        "output.path": str(tmp_path / "out"),
    }
    return lambda *sets: load_config(None, SETTINGS | flags, sets)


def worked(config: JobConfig) -> Rows:
    """What a job makes of its records, in their order."""
    run_job(config)
    rows = ds.dataset(config.output.path).to_table().to_pylist()
    return sorted(rows, key=lambda row: (int(row["id"][1:]), row["sample"]))


def piped(config: JobConfig) -> Rows:
    """What a Ray Data pipeline makes of them, in the order they come."""
    found = infill(ray.data.read_parquet(list(config.input.paths)), config)
    return list(found.take_all())


def results(rows: Rows) -> Rows:
    return [{name: row[name] for name in row if name not in OF_THE_WORK} for row in rows]
