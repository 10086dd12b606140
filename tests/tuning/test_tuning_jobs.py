"""Whole tunings with the simulated engine: the table, the file, and what fails on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from batchfim.api import tune_job
from batchfim.cli import app
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from batchfim.tuning.text import job_file, tuning_text

# One request at a time, a fiftieth of a second each: a wider engine is faster by far.
SLOW = {"max_num_seqs": 1, "decode_tokens_per_s": 500.0}
KEY = "engine.simulated.max_num_seqs"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    rows = {"prefix": [f"def f{i}(x):\n    return " for i in range(60)], "suffix": ["\n"] * 60}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet")
    tree = {
        "input": {"paths": [str(tmp_path / "in.parquet")]},
        "output": {"path": str(tmp_path / "out")},
        "model": {"path": "demo"},
        "engine": {"backend": "simulated", "simulated": SLOW},
        "schedule": {"pool": "local"},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf8")
    return path


def config(job: Path, *sets: str) -> JobConfig:
    return load_config(job, sets=sets)


def test_the_faster_setting_is_found_and_can_be_laid_over_the_job(
    job: Path, tmp_path: Path
) -> None:
    tuned = tmp_path / "tuned.yaml"
    args = ["tune", str(job), "--knob", f"{KEY}=16", "--rows", "40", "--repeats", "1"]
    done = CliRunner().invoke(app, [*args, "-o", str(tuned)])
    assert done.exit_code == 0, done.output
    assert "* max_num_seqs=16" in done.stdout
    assert "40 records per trial" in done.stdout
    assert yaml.safe_load(tuned.read_text()) == {"engine": {"simulated": {"max_num_seqs": 16}}}
    both = load_config([job, tuned])
    assert both.engine.simulated.max_num_seqs == 16
    assert both.engine.simulated.decode_tokens_per_s == SLOW["decode_tokens_per_s"]
    assert not (tmp_path / "out").exists()


def test_trials_lie_beside_the_output(job: Path, tmp_path: Path) -> None:
    """Where workers on other machines see them."""
    place = tmp_path / "a file"
    place.touch()
    done = CliRunner().invoke(app, ["tune", str(job), "--set", f"output.path={place}/out"])
    assert "a file/out.trial-" in str(done.exception)


def test_a_trial_that_fails_is_a_line_of_the_table(job: Path) -> None:
    found = tune_job(config(job), ["engine.simulated.fail_start=true"], sample_rows=20)
    own, failed = found.trials
    assert own.error is None
    assert failed.error
    assert "told not to start" in failed.error
    assert found.best == {}
    text = tuning_text(found)
    assert "nothing was faster" in text
    assert "told not to start" in text
    assert job_file(found.best) == ""


@pytest.mark.parametrize("knob", ["fail_if_contains=def", "refuse_if_contains=f7("])
def test_settings_under_which_more_rows_have_no_middle_are_no_faster(job: Path, knob: str) -> None:
    found = tune_job(config(job), [f"engine.simulated.{knob}"], sample_rows=60)
    worse = found.trials[1]
    assert (worse.records_per_s, found.best) == (None, {})
    assert worse.error == f"{worse.unfilled} rows failed or were rejected"
    assert worse.error in tuning_text(found)


def test_rows_that_fail_under_the_jobs_own_settings_too_are_held_against_none(job: Path) -> None:
    own = config(job, "engine.simulated.fail_if_contains=f7(")
    assert tune_job(own, [f"{KEY}=16"], sample_rows=60, repeats=1).best == {KEY: 16}


@pytest.mark.parametrize(
    ("sets", "knob", "complaint"),
    [
        ((), "engine.args", r"--knob 'engine\.args': expected section\.key=value,value"),
        ((), "engine.kv_cache_gb=1", "unknown key; did you mean 'kv_cache_gib'"),
        (
            ("engine.simulated.fail_start=true",),
            f"{KEY}=4",
            "with its own settings: .*not to start",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    job: Path, sets: tuple[str, ...], knob: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        tune_job(config(job, *sets), [knob])


def test_without_knobs_those_of_the_engine_are_tried(job: Path) -> None:
    told: list[Any] = []
    found = tune_job(config(job), sample_rows=20, repeats=1, tell=told.append)
    assert [trial.settings for trial in found.trials[:3]] == [{}, {KEY: 16}, {KEY: 256}]
    assert tuple(told) == found.trials
