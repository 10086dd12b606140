"""A job's finished rows as the source of a Ray Data pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batchfim.api import run_job
from batchfim.config import JobConfig
from batchfim.errors import OutputError
from batchfim.ray_data import read_results
from tests.ray_data.conftest import records

MakeConfig = Callable[..., JobConfig]
NAMES = sorted(records()["id"].to_pylist())


@pytest.mark.usefixtures("local_ray")
def test_the_rows_are_those_that_are_finished(make_config: MakeConfig) -> None:
    config = make_config("schedule.shard_rows=20")
    run_job(config)
    output = Path(config.output.path)
    (output / ("part-" + "0" * 20 + ".parquet")).write_bytes(b"of a shard that is not done")
    rows = read_results(config.output.path)
    assert sorted(row["id"] for row in rows.take_all()) == NAMES
    assert rows.filter(lambda row: row["status"] == "rejected").count() == 14


@pytest.mark.usefixtures("local_ray")
def test_a_job_that_has_finished_nothing_has_no_rows(make_config: MakeConfig) -> None:
    config = make_config()
    run_job(config)
    finished = read_results(config.output.path).columns()
    for marker in (Path(config.output.path) / "_batchfim" / "done").iterdir():
        marker.unlink()
    rows = read_results(config.output.path)
    assert rows.count() == 0
    assert rows.columns() == finished


@pytest.mark.usefixtures("local_ray")
def test_the_names_of_folders_become_no_columns(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(f"output.path={tmp_path}/day=1/out")
    run_job(config)
    part = next(Path(config.output.path).glob("part-*.parquet"))
    assert read_results(config.output.path).columns() == pq.read_schema(part).names


def test_where_no_job_is_there_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no batchfim job found"):
        read_results(str(tmp_path))
