"""Whole jobs in this process: the simulated engine on the local pool, real files, run after run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from batchfim.api import JobResult, run_job
from batchfim.config.files import load_config

SETTINGS = (
    "engine.backend=simulated",
    "schedule.pool=local",
    "schedule.shard_rows=4",
    "metrics.progress=none",
    "metrics.report=false",
)


@dataclass
class Job:
    """A folder of records, an output folder, and the runs between them."""

    records: Path
    output: Path

    def write(self, name: str, rows: Iterable[int], **columns: Any) -> Path:
        """A file of records; columns may be given."""
        path = self.records / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = {
            "id": [f"r{row}" for row in rows],
            "prefix": [f"def f{row}(x):\n    return " for row in rows],
            "suffix": [f"\n\nprint(f{row}(1))\n" for row in rows],
        }
        pq.write_table(pa.table(texts | columns), path)
        return path

    def run(self, *sets: str, paths: Sequence[Path] = ()) -> JobResult:
        inputs = [str(path) for path in paths] or [str(self.records)]
        flags = {"input.paths": inputs, "output.path": str(self.output), "model.path": "demo"}
        return run_job(load_config(None, flags, (*SETTINGS, *sets)))

    @property
    def ledger(self) -> Path:
        return self.output / "_batchfim"

    @property
    def complete(self) -> bool:
        return (self.ledger / "_SUCCESS").exists()

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.ledger / "summary.json").read_text()))

    def parts(self) -> dict[str, int]:
        """Visible parts, and when each was written."""
        return {path.name: path.stat().st_mtime_ns for path in self.output.glob("part-*.parquet")}

    def rows(self) -> list[dict[str, Any]]:
        return list(ds.dataset(self.output).to_table().to_pylist())

    def ids(self) -> list[str]:
        return sorted((row["id"] for row in self.rows()), key=lambda name: int(name[1:]))


def names(count: int) -> list[str]:
    return [f"r{row}" for row in range(count)]
