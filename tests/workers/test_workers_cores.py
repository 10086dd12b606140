"""The cores that workers on a Ray cluster have, on real actors of two machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.workers.placing import actor_options, share_cores_of_node


@pytest.fixture(scope="module", autouse=True)
def machines() -> Iterator[None]:
    """Two of six cores each, and a head of none, where nobody has said how many threads."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("OMP_NUM_THREADS", raising=False)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            cluster.add_node(num_cpus=6)
        ray.init(address=cluster.address, logging_level="ERROR")
        yield
        ray.shutdown()
        cluster.shutdown()


def job(*sets: str) -> JobConfig:
    settings = {"input.paths": ["none"], "output.path": "none", "model.path": "demo"}
    return load_config(None, settings, sets)


def worker_class() -> type:
    """Made here, so that Ray sends all of it: its processes cannot import this file."""

    class Worker:
        def place(self, config: JobConfig) -> tuple[str, str]:
            """Where it is, and the threads its engine would have."""
            share_cores_of_node(config)
            return ray.get_runtime_context().get_node_id(), os.environ["OMP_NUM_THREADS"]

    return Worker


def places(config: JobConfig, **more: Any) -> list[tuple[str, str]]:
    """Where the workers of a job come to be, and their threads."""
    options = actor_options(config, 0, None) | more
    actor_class = ray.remote(worker_class())
    workers = [actor_class.options(**options).remote() for _ in range(2)]
    try:
        return ray.get([worker.place.remote(config) for worker in workers])
    finally:
        for worker in workers:
            ray.kill(worker)


def test_workers_lie_on_different_machines_and_have_all_their_cores() -> None:
    found = places(job("schedule.workers=2"))
    assert len({node for node, _ in found}) == 2
    assert {threads for _, threads in found} == {"6"}


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        (["schedule.workers=4"], "3"),
        (["schedule.workers=2", "engine.args.tensor_parallel_size=2"], "3"),
        (["schedule.workers=2", "resources.num_cpus=2"], "2"),
        (["schedule.workers=2", "resources.num_cpus=1"], "1"),
    ],
)
def test_machines_are_shared_and_what_a_job_says_stays(settings: list[str], threads: str) -> None:
    assert {told for _, told in places(job(*settings))} == {threads}


def test_threads_that_the_cluster_says_stay() -> None:
    said = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "5"}}}
    assert {threads for _, threads in places(job("schedule.workers=2"), **said)} == {"5"}


def test_outside_of_an_actor_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share_cores_of_node(job())
    assert "OMP_NUM_THREADS" not in os.environ
