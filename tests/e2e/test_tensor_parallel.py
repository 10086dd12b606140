"""A model of two shards: one worker, whose engine is one process for each of them."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import Cli, Start, children_of, still_alive
from tests.e2e.test_faults import run_args
from tests.e2e.test_humaneval import FAST_START
from tests.processes import named

TWO_SHARDS = ("--set", "engine.args.tensor_parallel_size=2", "--set", "resources.num_cpus=2")


def middles(output: Path) -> dict[str, str]:
    rows = ds.dataset(output).to_table(columns=["id", "status", "raw_middle"]).to_pylist()
    assert {row["status"] for row in rows} == {"ok"}
    return {row["id"]: row["raw_middle"] for row in rows}


def test_a_model_in_two_shards_fills_the_holes_as_the_whole_one_does(
    records: Path, tmp_path: Path, cli: Cli, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards add up their halves of a sum, so that a near tie may fall to the other token."""
    whole, sharded = tmp_path / "whole", tmp_path / "sharded"
    cli(*run_args(records, whole, *FAST_START))
    # vLLM gives each shard a NUMA node's cores, unless told which; this machine may have one node.
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
    process = start(*run_args(records, sharded, *FAST_START, *TWO_SHARDS))
    # The engine's core and a process for each shard. Their titles say which is which, unless
    # `setproctitle` had no room for them (`tests.processes.engine_cores`).
    spawned: set[psutil.Process] = set()
    while len(spawned) < 3:
        assert process.poll() is None, process.communicate()
        spawned |= set(named("multiprocessing.spawn", children_of(process)))
        time.sleep(0.05)
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert len(spawned) == 3
    assert still_alive([*spawned]) == []
    ours, theirs = middles(sharded), middles(whole)
    assert ours.keys() == theirs.keys()
    same = sum(ours[key] == theirs[key] for key in ours)
    print(f"{same} of {len(ours)} greedy middles are equal")
    assert same >= 0.95 * len(ours)
