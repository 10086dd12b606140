"""Whole jobs to evaluate, by the simulated engine in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.api import run_job
from batchfim.config.files import load_config

SETS = (
    "engine.backend=simulated",
    "schedule.pool=local",
    "schedule.shard_rows=7",
    "metrics.progress=none",
    "metrics.report=false",
    "sampling.max_tokens=8",
)
RunJob = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> RunJob:
    """Make a job of some columns and run it; its output."""

    def run_columns(*sets: str, **columns: Any) -> str:
        pq.write_table(pa.table(columns), tmp_path / "records.parquet")
        flags = {"input.paths": [str(tmp_path / "records.parquet")], "model.path": "demo"}
        output = str(tmp_path / "out")
        run_job(load_config(None, flags | {"output.path": output}, (*SETS, *sets)))
        return output

    return run_columns


def columns(num_rows: int, **more: Any) -> dict[str, Any]:
    """Python records whose reference is `x + 1`."""
    return {
        "id": [f"r{row}" for row in range(num_rows)],
        "prefix": [f"def f{row}(x):\n    return " for row in range(num_rows)],
        "suffix": [f"\n\n\nprint(f{row}(1))\n" for row in range(num_rows)],
        "middle_reference": ["x + 1"] * num_rows,
        "language": ["python"] * num_rows,
    } | more
