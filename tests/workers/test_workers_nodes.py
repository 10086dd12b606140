"""The pool's look at Ray's nodes, and a worker's at the job's output from one of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import ray

from batchfim.config_file import load_config
from batchfim.errors import OutputError
from batchfim.metrics.run_record import RunRecord
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.workers.placing import check_output_is_seen
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


def test_a_worker_whose_machine_has_another_disk_under_the_output_says_so(
    make_spec: Callable[..., WorkerSpec], tmp_path: Path
) -> None:
    """Such a folder may be there, even with a ledger: that of another run."""
    spec = make_spec()
    runs = Ledger(Location.of(spec.config.output.path)).runs
    record = RunRecord(id="other", started_at=datetime.now(UTC), host="h", shards_to_do=1)
    runs.write(record)
    with pytest.raises(OutputError, match=r"out is another place on .* give a URL, or a folder"):
        check_output_is_seen(spec)
    runs.write(record.model_copy(update={"id": spec.run}))
    check_output_is_seen(spec)
