"""A model whose parts lie on several machines: real raylets, the placement group of a worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table

from tests.e2e.conftest import SIMULATED, Cli, Start
from tests.e2e.test_faults import ids, run_args, wait_for_parts
from tests.e2e.test_lost_nodes import LONG, last_run

TWO_PARTS = (
    *("--set", "resources.nodes_per_worker=2", "--set", "engine.args.tensor_parallel_size=2"),
    *("--set", "schedule.workers=1"),
)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head and two nodes, each with room for one part; the test is connected, too."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def nodes_by_group(state: str) -> list[list[str]]:
    """Of each group in this state, the nodes of its bundles in order."""
    groups: list[Any] = [one for one in placement_group_table().values() if one["state"] == state]
    return [[one["bundles_to_node_id"][at] for at in sorted(one["bundles"])] for one in groups]


def test_a_node_of_several_that_is_lost_costs_its_shards_and_the_places_are_taken_anew(
    records: Path, tmp_path: Path, cli: Cli, start: Start, cluster: Cluster
) -> None:
    output = tmp_path / "out"
    address = ("--ray-address", cluster.address)
    process = start(*run_args(records, output, *address, *SIMULATED, *LONG[2:], *TWO_PARTS))
    wait_for_parts(output, process, 2)
    ((own, other),) = nodes_by_group("CREATED")
    assert own != other
    (lost,) = [node for node in cluster.worker_nodes if node.node_id == other]
    cluster.remove_node(lost, allow_graceful=False)  # the worker's actor is on the other
    added = cluster.add_node(num_cpus=1)
    while [set(nodes) for nodes in nodes_by_group("CREATED")] != [{own, added.node_id}]:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)

    _, said = process.communicate()
    assert process.returncode == 0, said
    assert " is lost with its node: the worker was lost: one of its nodes is gone" in said
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    run = last_run(output)
    assert run["workers_lost"] == 1
    assert len(run["engines"]) == 2  # type: ignore[arg-type]
    assert [one["state"] for one in placement_group_table().values()] == ["REMOVED"] * 2
    cli("retry", output)  # by the settings that the run kept


def test_more_parts_than_the_machines_have_room_for_are_refused_at_once(
    records: Path, tmp_path: Path, cli: Cli, cluster: Cluster
) -> None:
    three = ("--set", "engine.args.tensor_parallel_size=3")
    address = ("--ray-address", cluster.address)
    args = run_args(records, tmp_path / "out", *address, *SIMULATED, *TWO_PARTS, *three)
    done = cli(*args, code=2)
    assert "needs 3 times 1 CPU on at most 2 nodes; nodes have: " in done.stderr
    assert placement_group_table() == {}
