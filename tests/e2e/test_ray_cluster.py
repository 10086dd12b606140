"""A Ray cluster that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from ray.cluster_utils import Cluster

from tests.e2e.conftest import SIMULATED, Cli


@pytest.fixture
def address() -> Iterator[str]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    yield cluster.address
    cluster.shutdown()


def test_workers_live_on_the_cluster_that_is_given(
    records: Path, tmp_path: Path, cli: Cli, address: str
) -> None:
    args = ("--input", records, "--output", tmp_path / "out", "--model", "demo")
    cli("run", *args, "--ray-address", address, *SIMULATED, "--set", "schedule.workers=2")
    assert ds.dataset(tmp_path / "out").count_rows() == 200


def test_a_cluster_that_is_not_there(records: Path, tmp_path: Path, cli: Cli) -> None:
    args = ("--input", records, "--output", tmp_path / "out", "--model", "demo")
    done = cli("run", *args, "--ray-address", "127.0.0.1:1", *SIMULATED, code=2)
    assert "no Ray available at 127.0.0.1:1: " in done.stderr


def test_a_model_that_fits_no_machine_is_refused_at_once(
    records: Path, tmp_path: Path, cli: Cli
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1, num_gpus=4)
    cluster.add_node(num_cpus=1, num_gpus=4)
    args = ("--input", records, "--output", tmp_path / "out", "--model", "demo", *SIMULATED)
    address = ("--ray-address", cluster.address)
    try:
        done = cli("run", *args, *address, "--set", "resources.num_gpus=8", code=2)
    finally:
        cluster.shutdown()
    assert "needs 1 CPU, 8 GPU on one node" in done.stderr
    assert done.stderr.count("1 CPU, 4 GPU") == 2
    assert not list((tmp_path / "out").glob("part-*"))
