"""The pool's look at Ray's nodes."""

from __future__ import annotations

from pathlib import Path

import ray

from batchfim.config_file import load_config
from batchfim.workers.pool import WorkerSpec
from batchfim.workers.ray import RayPool


def test_a_head_that_does_not_answer_is_asked_again_and_ends_no_run(tmp_path: Path) -> None:
    settings = {
        "input.paths": [str(tmp_path)],
        "output.path": str(tmp_path / "out"),
        "model.path": "demo",
        "engine.backend": "simulated",
        "resources.ray_address": "local",
    }
    pool = RayPool(WorkerSpec(load_config(None, settings), (), "run"), 0)
    assert pool.wait(0.0) == []
    ray.shutdown()
    pool._looked_s = 0.0  # a second later
    assert pool.wait(0.0) == []
    pool.close()
