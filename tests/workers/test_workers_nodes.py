"""The pool's look at Ray's nodes, and a worker's at the job's output from one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import ray
from ray.util.placement_group import placement_group_table

from batchfim.config.files import load_config
from batchfim.errors import ConfigError, OutputError
from batchfim.metrics.run_record import RunRecord
from batchfim.models.files import find_model
from batchfim.storage.ledger import Ledger
from batchfim.workers.placing import check_output_is_seen
from batchfim.workers.pool import WorkerGone, WorkerSpec
from batchfim.workers.ray import RayPool
from tests.workers.conftest import WAIT_S


def open_pool(folder: Path, *sets: str, num_gpus: float = 0) -> RayPool:
    """On a Ray of its own."""
    settings = {
        "input.paths": [str(folder)],
        "output.path": str(folder / "out"),
        "model.path": "demo",
        "engine.backend": "simulated",
        "resources.ray_address": "local",
    }
    config = load_config(None, settings, sets)
    digest = find_model(config.model, weights=False).digest()
    return RayPool(
        WorkerSpec(config, pa.schema([]), "run", "run.json", model_digest=digest), num_gpus
    )


def test_a_head_that_does_not_answer_is_asked_again_and_ends_no_run(tmp_path: Path) -> None:
    pool = open_pool(tmp_path)
    assert pool.wait(0.0) == []
    ray.shutdown()
    pool._nodes._looked_s = 0.0  # a second later
    assert pool.wait(0.0) == []
    pool.close()


def test_a_pool_that_has_no_room_leaves_no_ray_behind(tmp_path: Path) -> None:
    """A later run of the process would be on it, whatever address it gives."""
    with pytest.raises(ConfigError, match="needs 1 CPU, 99 GPU on one node"):
        open_pool(tmp_path, num_gpus=99)
    assert not ray.is_initialized()


def test_a_worker_that_is_let_go_gives_its_places_back_while_the_run_goes_on(
    tmp_path: Path,
) -> None:
    parts = ("resources.nodes_per_worker=2", "engine.args.tensor_parallel_size=2")
    pool = open_pool(tmp_path, *parts, "resources.num_cpus=0.5")
    try:
        pool.add_worker("w")
        pool.remove_worker("w")
        for _ in range(100):
            states = [group["state"] for group in placement_group_table().values()]
            if states == ["REMOVED"]:
                break
            time.sleep(0.1)
        assert states == ["REMOVED"]
    finally:
        pool.close()


def test_a_worker_whose_machine_has_another_disk_under_the_output_says_so(
    make_spec: Callable[..., WorkerSpec], tmp_path: Path
) -> None:
    """Such a folder may be there, even with a ledger: that of another run."""
    spec = replace(make_spec(), run_record="20260101T000000.000000Z-run.json")
    runs = Ledger.at(spec.config.output.path).runs
    started = datetime(2026, 1, 1, tzinfo=UTC)
    record = RunRecord(id="other", started_at=started, host="h", shards_to_do=1)
    runs.write(record)
    with pytest.raises(
        OutputError, match=r"out is a different folder on .* give a URL, or a folder"
    ):
        check_output_is_seen(spec)
    runs.write(record.model_copy(update={"id": "run"}))
    check_output_is_seen(spec)


def test_a_worker_that_does_not_see_the_runs_record_does_not_start(
    make_spec: Callable[..., WorkerSpec],
) -> None:
    spec = make_spec("resources.ray_address=local")
    pool = RayPool(spec, 0)
    try:
        pool.add_worker("w")
        (event,) = pool.wait(WAIT_S)
    finally:
        pool.close()
    assert isinstance(event, WorkerGone)
    assert spec.config.output.path in str(event.error)
