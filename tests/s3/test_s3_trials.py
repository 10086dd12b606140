"""Trials of a job whose output is a URL with a query."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.api import bench_job, run_job
from batchfim.config.files import load_config
from batchfim.storage.stores import extended
from tests.s3.server import S3

SETS = ("engine.backend=simulated", "schedule.pool=local", "metrics.progress=none")


def test_what_is_done_is_still_there_and_nothing_lies_beside_it(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    path = tmp_path / "records.parquet"
    pq.write_table(pa.table({"prefix": ["def f():\n"] * 40, "suffix": ["\n"] * 40}), path)
    flags = {
        "input.paths": [str(path)],
        "output.path": f"{bucket}/out?region=us-east-1",
        "model.path": "demo",
    }
    config = load_config(None, flags, SETS)
    run_job(config)
    done = s3.names(bucket)
    (trial,) = bench_job(config, sample_rows=20, repeats=1, keep_as="one")
    assert trial.records_per_s
    assert s3.names(bucket) == sorted([*done, "out.bench/one.jsonl"])


def test_a_urls_query_stays_its_query() -> None:
    assert extended("s3://b/out/?region=x&scheme=http", "/a") == "s3://b/out/a?region=x&scheme=http"
    assert extended("abfss://c@account.dfs.core.windows.net/out", ".t") == (
        "abfss://c@account.dfs.core.windows.net/out.t"
    )
    assert extended("out/", ".t") == "out.t"
