"""Infilling as a step of a Ray Data pipeline: a job's rows, without a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import ray.data
from ray.exceptions import RayTaskError

from batchfim.config import JobConfig
from batchfim.errors import ConfigError, InputError
from batchfim.ray_data import infill
from tests.ray_data.conftest import NUM_ROWS, piped, results, worked

pytestmark = pytest.mark.usefixtures("local_ray")
MakeConfig = Callable[..., JobConfig]
STEP = {
    "model": {"path": "demo"},
    "engine": {"backend": "simulated"},
    "resources": {"num_cpus": 0},  # Ray takes a while to give back those of a pipeline that failed
}
ON_TWO_NODES = {
    "engine": {"args": {"tensor_parallel_size": 2}},
    "resources": {"nodes_per_worker": 2},
}
TEXTS = {"prefix": ["def f(x):\n    return "] * 4, "suffix": ["\n"] * 4}


def test_every_row_is_a_jobs_row(make_config: MakeConfig) -> None:
    config = make_config("infill.trim=[line]", "schedule.shard_rows=16")
    of_job, of_step = results(worked(config)), results(piped(config))
    file = config.input.paths[0]
    for row, expected in enumerate(of_job):
        if expected["error"]:  # a job says where the row is
            expected["error"] = expected["error"].removeprefix(f"{file}, row {row}: ")
    assert of_step == of_job
    statuses = [row["status"] for row in of_step]
    assert (len(statuses), statuses.count("rejected")) == (NUM_ROWS, 14)
    assert of_step[7]["error"] == "column 'prefix' is null, expected text"
    assert of_step[11]["error"].startswith("the prompt has ")


def test_its_schema_is_a_parts(make_config: MakeConfig) -> None:
    config = make_config()
    worked(config)
    found = infill(ray.data.read_parquet(list(config.input.paths)), config).schema()
    part = ray.data.read_parquet(config.output.path).schema()
    assert (found.names, found.types) == (part.names, part.types)


def test_seeded_samples_do_not_depend_on_the_batch(make_config: MakeConfig) -> None:
    seeded = ("sampling.temperature=1", "sampling.n=2", "sampling.max_tokens=16")
    few, many = (
        results(piped(make_config(*seeded, f"schedule.shard_rows={size}"))) for size in (8, 64)
    )
    assert few == many
    assert [(row["id"], row["sample"]) for row in few] == [
        (f"r{i}", sample) for i in range(NUM_ROWS) for sample in range(2)
    ]
    assert few[2]["middle"] != few[3]["middle"]
    other_seed = results(piped(make_config(*seeded, "sampling.seed=1")))
    assert [row["middle"] for row in other_seed] != [row["middle"] for row in few]


def test_only_the_columns_to_keep_come_out(make_config: MakeConfig) -> None:
    rows = piped(make_config("input.keep=[meta]"))
    assert next(iter(rows[1])) == "meta"
    assert rows[1]["meta"] == {"stars": 1, "tags": ["a", None]}
    assert not {"id", "prefix"} & {*rows[1]}


def test_a_column_that_is_null_throughout_a_block_rejects_its_rows() -> None:
    rows = ray.data.from_items([{"prefix": "p", "suffix": None}] * 3)
    assert [row["status"] for row in infill(rows, STEP).take_all()] == ["rejected"] * 3


@pytest.mark.parametrize("name", ["language", "path"])
def test_a_language_that_is_null_throughout_a_block_is_not_known(name: str) -> None:
    rows = ray.data.from_arrow(pa.table(TEXTS | {name: pa.nulls(4)}))
    found = infill(rows, STEP | {"infill": {"trim": ["syntax"]}}).take_all()
    assert [row["status"] for row in found] == ["ok"] * 4


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            {"prefix": TEXTS["prefix"], "after": TEXTS["suffix"]},
            r"the data set: no column 'suffix'; it has prefix, after; set input\.columns\.suffix",
        ),
        (TEXTS | {"suffix": [1, 2, 3, 4]}, "column 'suffix' holds int64, expected text"),
        (
            TEXTS | {"status": ["new"] * 4},
            r"'status' would be overwritten .* to keep: input\.keep: \[",
        ),
    ],
)
def test_a_wrong_column_is_told_at_once_or_when_it_comes(
    columns: dict[str, Any], told: str
) -> None:
    rows = ray.data.from_arrow(pa.table(columns))
    with pytest.raises(InputError, match=told):
        infill(rows, STEP)
    later = rows.map_batches(lambda batch: batch, batch_format="pyarrow")
    with pytest.raises(RayTaskError, match=told):
        infill(later, STEP).take_all()


def test_settings_that_are_wrong_are_told_at_once() -> None:
    rows = ray.data.from_arrow(pa.table(TEXTS))
    with pytest.raises(ConfigError, match=r"the config of a Ray Data step: .*moddel"):
        infill(rows, {"moddel": {"path": "demo"}})
    with pytest.raises(ConfigError, match="runs on one machine"):
        infill(rows, STEP | ON_TWO_NODES)
    with pytest.raises(InputError, match="syntax needs each record's language"):
        infill(rows, STEP | {"infill": {"trim": ["syntax"]}})
