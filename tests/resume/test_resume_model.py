"""A model's folder that is written anew while a job runs."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from batchfim.errors import JobFailed
from batchfim.models.files import demo_model_path
from tests.jobs_in_process import Job, names

# The last shard's first record: its worker is lost once the others' parts are there.
HANG = ("engine.simulated.hang_if_contains=f8(", "schedule.stall_timeout_s=3")


def test_no_worker_takes_a_lost_ones_place_with_another_model(job: Job, tmp_path: Path) -> None:
    model = Path(shutil.copytree(demo_model_path(), tmp_path / "model"))
    weights = next(model.glob("*.safetensors"))
    before = weights.read_bytes()

    def write_anew() -> None:
        while not job.parts() and not ended.wait(0.01):
            pass
        weights.write_bytes(before[:-1] + bytes([before[-1] ^ 0xFF]))

    ended, training = threading.Event(), threading.Thread(target=write_anew)
    training.start()
    try:
        with pytest.raises(JobFailed, match=r"workers are lost: the model in .* is not the job's"):
            job.run(f"model.path={model}", "schedule.workers=1", *HANG)
    finally:
        ended.set()
        training.join()
    assert job.ids() == names(8)

    weights.write_bytes(before)
    assert job.run(f"model.path={model}").exit_code == 0
    assert job.ids() == names(12)
