"""What a job's settings leave behind on storage."""

from __future__ import annotations

import json

from tests.jobs_in_process import Job


def test_a_secret_is_nowhere_in_the_output_and_may_change(job: Job) -> None:
    job.run("engine.args.hf_token=hunter2", "engine.args.dtype=float16")
    for path in job.output.rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path
    config = json.loads((job.ledger / "job.json").read_text())["config"]
    assert config["engine"]["args"] == {"hf_token": "(hidden)", "dtype": "float16"}
    assert job.run("engine.args.hf_token=another", "engine.args.dtype=float16").idle
