"""Machines that come and go in the middle of a job: real raylets of one Ray cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from tests.e2e.conftest import SIMULATED, Start, parts
from tests.e2e.test_faults import ids, run_args, wait_for_parts

LONG = (
    *("--set", "schedule.workers=2", "--set", "engine.simulated.decode_tokens_per_s=20"),
    *("--set", "engine.simulated.max_num_seqs=4", "--set", "schedule.shard_rows=5"),
)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without room for a worker; each node added holds one."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


def last_run(output: Path) -> dict[str, object]:
    run: dict[str, object] = json.loads((output / "_batchfim" / "summary.json").read_text())["runs"]
    return run[-1]  # type: ignore[index]


def drain(cluster: Cluster, node: Any, within_s: float) -> None:
    """What a spot machine's notice does, and Ray's autoscaler."""
    accepted, why_not = GcsClient(address=cluster.address).drain_node(
        node.node_id,
        autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        "notice",
        int((time.time() + within_s) * 1000),
    )
    assert accepted, why_not


def attempts(output: Path) -> set[int]:
    return set(ds.dataset(output).to_table(columns=["attempt"])["attempt"].to_pylist())


def test_a_drained_node_ends_what_it_has_and_gets_nothing_more(
    records: Path, tmp_path: Path, start: Start, cluster: Cluster
) -> None:
    output = tmp_path / "out"
    drained = cluster.add_node(num_cpus=1)
    address = ("--ray-address", cluster.address, "--set", "schedule.workers=1")
    process = start(*run_args(records, output, *address, *SIMULATED, *LONG[2:]))
    wait_for_parts(output, process, 2)
    drain(cluster, drained, within_s=600)
    while drained.any_processes_alive():  # a drained node ends by itself once it is idle
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    before = len(parts(output))
    cluster.add_node(num_cpus=1)

    _, said = process.communicate()
    assert process.returncode == 0, said
    assert 2 < before < 40
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    assert attempts(output) == {1}
    run = last_run(output)
    assert run["workers_lost"] == 0
    assert len(run["engines"]) == 2  # type: ignore[arg-type]


def test_a_lost_node_costs_its_shards_and_a_new_one_is_taken_into_use(
    records: Path, tmp_path: Path, start: Start, cluster: Cluster
) -> None:
    output = tmp_path / "out"
    lost = cluster.add_node(num_cpus=1)
    address = ("--ray-address", cluster.address)
    process = start(*run_args(records, output, *address, *SIMULATED, *LONG))
    wait_for_parts(output, process, 2)  # the second worker waits for a machine, the first works
    cluster.remove_node(lost, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    wait_for_parts(output, process, 6)
    cluster.add_node(num_cpus=1)

    _, said = process.communicate()
    assert process.returncode == 0, said
    assert " with its node: the worker was lost" in said
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    run = last_run(output)
    assert run["workers_lost"] == 1
    assert len(run["engines"]) == 3  # type: ignore[arg-type]


def test_a_range_of_workers_waits_for_the_first_machine(
    records: Path, tmp_path: Path, start: Start, cluster: Cluster
) -> None:
    output = tmp_path / "out"
    address = ("--ray-address", cluster.address)
    growing = ("--set", "schedule.workers={min: 1, max: 2}", "--set", "metrics.log=json")
    process = start(*run_args(records, output, *address, *SIMULATED, *growing))
    assert process.stderr is not None
    said = []
    while not said or "waiting for a new node" not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1], "".join(said)
    cluster.add_node(num_cpus=2)

    _, rest = process.communicate()
    assert process.returncode == 0, "".join(said) + rest
    assert ids(output) == sorted(f"r{row}" for row in range(200))


def test_a_range_of_workers_starts_with_the_first_machine_and_leaves_the_idle_ones(
    records: Path, tmp_path: Path, start: Start, cluster: Cluster
) -> None:
    output = tmp_path / "out"
    cluster.add_node(num_cpus=1)
    of_three = ("--set", "schedule.workers={min: 1, max: 3}", "--set", "metrics.log=json")
    address = ("--ray-address", cluster.address)
    process = start(*run_args(records, output, *address, *SIMULATED, *LONG, *of_three))
    wait_for_parts(output, process, 2)  # two workers wait for machines
    cluster.add_node(num_cpus=1)

    _, said = process.communicate()
    assert process.returncode == 0, said
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    run = last_run(output)
    assert run["workers"] == 3
    assert len(run["engines"]) == 2  # type: ignore[arg-type]
    assert run["workers_lost"] == 0
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    let_go = [event["worker"] for event in events if event["event"] == "idle and let go"]
    assert len(let_go) == 2  # the one that never got a machine, and one of those that did
