"""Workers as threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchfim.api import run_job
from batchfim.engines.simulated import SimulatedEngine
from batchfim.errors import ConfigError
from batchfim.workers.local import LocalPool
from batchfim.workers.pool import WorkerReady, WorkerSpec


def num_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_worker_that_is_gone_leaves_no_file_open(make_spec: Callable[..., WorkerSpec]) -> None:
    spec, after = make_spec(), []
    for _ in range(3):
        pool = LocalPool(spec)
        pool.add_worker("w")
        (event,) = pool.wait(60)
        assert isinstance(event, WorkerReady)
        pool.close()
        after.append(num_open_files())
    assert after[1] == after[2]  # the first opens what stays: libraries, say


def test_threads_have_one_gpu_for_all(make_spec: Callable[..., WorkerSpec]) -> None:
    spec = make_spec("schedule.workers=2", "resources.num_gpus=1")
    with pytest.raises(ConfigError, match=r"one GPU for all workers; use schedule\.pool ray"):
        run_job(spec.config)
    assert not Path(spec.config.output.path, "_batchfim", "job.json").exists()
    assert run_job(make_spec("resources.num_gpus=1").config).exit_code == 0


def test_steps_inside_of_the_engine_are_the_workers(
    open_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_desk().pool
    assert pool.steps() == {"w": 0}
    monkeypatch.setattr(SimulatedEngine, "num_steps", 7)
    assert pool.steps() == {"w": 7}
