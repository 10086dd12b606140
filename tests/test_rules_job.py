"""A whole job with stop and trim rules, on the simulated engine: the summary is the table's sum."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from batchfim.api import run_job
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import InputError
from batchfim.metrics.shard_report import ENDINGS

SETS = (
    "engine.backend=simulated",
    "schedule.pool=local",
    "schedule.workers=2",
    "schedule.shard_rows=7",
    "metrics.progress=none",
    "sampling.temperature=1",
    "sampling.n=2",
    "sampling.max_tokens=16",
    "infill.stop=[eot, line, block, suffix_start]",
    "infill.trim=[suffix_overlap, line, syntax]",
)


def job(folder: Path, *sets: str, **columns: Any) -> JobConfig:
    prefixes = [f"def f{i}(x):\n    y = (x,\n         {i})\n    return " for i in range(30)]
    suffixes = [f"\n\n\nprint(f{i}(1))\n" if i % 5 else None for i in range(30)]
    table = pa.table({"prefix": prefixes, "suffix": suffixes, **columns})
    pq.write_table(table, folder / "records.parquet")
    flags = {"input.paths": [str(folder / "records.parquet")], "model.path": "demo"}
    return load_config(None, flags | {"output.path": str(folder / "out")}, (*SETS, *sets))


def test_the_summary_is_the_tables_sum(tmp_path: Path) -> None:
    config = job(tmp_path, path=["a.py"] * 30)
    run_job(config)
    rows = ds.dataset(config.output.path).to_table().to_pylist()
    summary = json.loads((Path(config.output.path) / "_batchfim" / "summary.json").read_text())
    assert (len(rows), summary["rows"]["ok"], summary["rows"]["rejected"]) == (60, 48, 12)
    for name, column in ENDINGS.items():
        ended = [row for row in rows if row["status"] == "ok"]
        assert summary[name] == Counter(row[column] for row in ended if row[column])
    assert sum(summary["stop_rules"].values()) == 48
    assert len(summary["stop_rules"]) > 2
    assert summary["trim_rules"]
    for name in ("completion", "kept"):
        assert summary["tokens"][name] == sum(row[f"{name}_tokens"] for row in rows)


def test_syntax_without_any_column_for_the_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column `language` or `path`; set input\.columns"):
        run_job(job(tmp_path))
    assert not (tmp_path / "out").exists()
    run_job(job(tmp_path, "infill.trim=[line]"))
    assert (tmp_path / "out").exists()
