"""Plans of jobs whose output already holds finished work, with the simulated engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.accounts.summary_text import summary_text
from batchfim.api import plan_job
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.forecast.text import forecast_text
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import SETTINGS, Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of 300 records in 75 shards, all done, and 100 longer ones that came after."""
    new = Job(tmp_path / "records", tmp_path / "out")
    new.write("a.parquet", range(300), middle_reference=["x"] * 300)
    new.run()
    new.write(
        "b.parquet",
        range(100),
        prefix=[f"value_{row} = 1\n" * 40 for row in range(100)],
        middle_reference=["x + 1"] * 100,
    )
    return new


def config(job: Job, *sets: str) -> JobConfig:
    flags = {
        "input.paths": [str(job.records)],
        "output.path": str(job.output),
        "model.path": "demo",
    }
    return load_config(None, flags, (*SETTINGS, *sets))


def test_only_what_is_left_is_planned_and_compared(job: Job) -> None:
    before = job.summary
    told = plan_job(config(job), speed_from=str(job.output), price=2.0)
    assert (told["done"]["rows"], told["done"]["shards"], told["done"]["failed"]) == (300, 75, 0)
    assert (told["rows"], told["shards"], told["sample"]["of"]) == (100, 25, 100)
    assert "done: 300 rows in 75 shards; the rest of this forecast" in forecast_text(told)
    summary = job.run().summary
    prompt = summary["tokens"]["prompt"] - before["tokens"]["prompt"]
    assert told["tokens"]["prompt"]["value"] == prompt > before["tokens"]["prompt"]
    lines = {line["label"]: line for line in summary["forecast"]}
    assert lines["prompt tokens"]["off"] == 0
    assert lines["time of work"]["actual"] == summary["runs"][1]["run_s"]
    assert "predicted vs. actual: prompt tokens" in summary_text(summary, str(job.output))


def test_shards_that_lost_their_part_are_left_to_do(job: Job) -> None:
    for part in sorted(job.output.glob("part-*.parquet"))[:5]:
        part.unlink()
    told = plan_job(config(job))
    assert (told["done"]["rows"], told["rows"], told["shards"]) == (280, 120, 30)
    assert job.run().summary["forecast"][0]["off"] == 0


def test_where_all_is_done_that_is_said_and_the_old_forecast_stays(job: Job) -> None:
    plan_job(config(job))
    job.run()
    kept = (job.ledger / "forecast.json").read_bytes()
    told = plan_job(config(job), speed_from=str(job.output))
    assert (told["done"]["rows"], told["rows"], told["shards"], told["time"]) == (400, 0, 0, None)
    assert forecast_text(told) == "done: 400 rows in 100 shards; nothing is left to do"
    assert plan_job(config(job), calibration_rows=8)["rows"] == 0
    assert (job.ledger / "forecast.json").read_bytes() == kept
    assert job.run().summary["forecast"]


def test_failed_rows_are_told_of_and_nothing_is_compared_as_a_retry_adds_tokens(job: Job) -> None:
    job.output = job.output.with_name("out-2")
    job.run("engine.simulated.fail_if_contains=f7(", paths=[job.records / "a.parquet"])
    told = plan_job(config(job))
    assert told["done"]["failed"] == 1
    assert "done: 300 rows in 75 shards, 1 of them failed (batchfim retry); " in forecast_text(told)
    assert job.run().summary["forecast"] == []


def test_a_changed_files_rows_are_planned_again(job: Job) -> None:
    job.run()
    job.write("b.parquet", range(1000, 1050), middle_reference=["x"] * 50)
    told = plan_job(config(job))
    assert (told["done"]["rows"], told["rows"]) == (300, 50)
    assert job.run().summary["forecast"][0]["off"] == 0


def test_samples_are_rows_of_both(job: Job) -> None:
    job.output = job.output.with_name("out-2")
    sets = ("sampling.temperature=1", "sampling.n=2")
    job.run(*sets, paths=[job.records / "a.parquet"])
    told = plan_job(config(job, *sets))
    assert (told["done"]["rows"], told["rows"]) == (600, 200)
    assert job.run(*sets).summary["forecast"][0]["off"] == 0


def test_the_work_of_another_job_is_not_taken_for_done_but_warned_of(job: Job) -> None:
    told = plan_job(config(job, "sampling.max_tokens=7"))
    assert (told["done"]["rows"], told["rows"]) == (0, 400)
    (warning,) = [line for line in told["warnings"] if line.startswith("a run will be refused: ")]
    assert "sampling.max_tokens: " in warning
    # Its forecast does not replace that of the job that is there.
    assert Ledger.at(str(job.output)).forecast() is None


@pytest.mark.usefixtures("local_ray")
def test_rows_in_a_regrouped_copy_are_done_too(job: Job) -> None:
    job.output = job.output.with_name("out-2")
    sets = ("planning.regroup=content", "schedule.pool=ray")
    job.run(*sets, paths=[job.records / "a.parquet"])
    told = plan_job(config(job, *sets))
    assert (told["done"]["rows"], told["rows"]) == (300, 100)
    assert job.run(*sets).summary["forecast"][0]["off"] == 0
