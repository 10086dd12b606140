"""What is submitted, and under which id. Pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from jobs.submission import Entry, Submission, next_turn, stop_command, turns


def job(*sets: str) -> JobConfig:
    flags = {"input.paths": ["/in"], "output.path": "/out", "model.path": "demo"}
    return load_config(None, flags, sets)


def test_the_same_job_has_the_same_id_and_another_has_another() -> None:
    first = Submission(job(), Entry.INFILL)
    assert first.base_id == Submission(job(), Entry.INFILL).base_id
    others = [
        Submission(job("sampling.max_tokens=7"), Entry.INFILL),
        Submission(job(), Entry.BENCH),
    ]
    assert first.base_id not in [other.base_id for other in others]


@pytest.mark.parametrize(
    ("known", "had", "then"),
    [
        ([], [], "b-x"),
        (["b-x", "b-y", "b-x-y"], ["b-x"], "b-x-2"),
        (["b-x-10", "b-x", "b-x-9"], ["b-x", "b-x-9", "b-x-10"], "b-x-11"),
    ],
)
def test_a_job_that_ended_has_another_turn(known: list[str], had: list[str], then: str) -> None:
    assert turns("b-x", known) == had
    assert next_turn("b-x", had) == then


def test_the_job_file_says_the_same_as_what_was_submitted(tmp_path: Path) -> None:
    config = job("infill.stop=[eot, line]", "engine.args.max_num_seqs=7", "sampling.seed=3")
    file = tmp_path / "job.yaml"
    file.write_text(Submission(config, Entry.INFILL).job_file)
    assert load_config([file]) == config


def test_ray_waits_longer_than_the_grace_before_it_kills() -> None:
    environment = Submission(job("schedule.grace_s=90"), Entry.INFILL).environment
    assert int(environment["RAY_JOB_STOP_WAIT_TIME_S"]) > 90


def test_what_stops_a_job_shows_the_token_that_starts_one() -> None:
    assert stop_command("b-1", "http://h:1", None) == "ray job stop b-1 --address http://h:1"
    assert stop_command("b-1", "http://h:1", "token").startswith("RAY_AUTH_MODE=token ray job stop")


def test_secrets_are_not_shown() -> None:
    shown = Submission(job("engine.args.hf_token=hush"), Entry.INFILL).shown()
    assert "hush" not in str(shown)
