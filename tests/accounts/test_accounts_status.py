"""A job's status, told from its ledger alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from batchfim.accounts.status import job_status
from batchfim.accounts.status_text import status_text
from batchfim.accounts.summary_text import summary_text
from batchfim.cli import app
from batchfim.errors import OutputError
from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job


def files(job: Job) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in job.output.rglob("*") if path.is_file()}


def test_a_complete_job_says_what_its_summary_says(job: Job) -> None:
    job.run("sampling.n=2", "sampling.temperature=1")
    before = files(job)
    status = job_status(str(job.output))
    assert (status["state"], status["holder"]) == ("complete", None)
    assert status["shards"] == {"planned": 3, "done": 3}
    assert status["rows"]["planned"] == status["rows"]["done"] == 24
    for name in job.summary.keys() - {"shards", "rows"}:
        assert status[name] == job.summary[name], name
    assert files(job) == before


def test_a_job_with_work_left_is_stopped(job: Job) -> None:
    job.run()
    min(job.output.glob("part-*.parquet")).unlink()
    job.write("b.parquet", range(12, 16))
    with pytest.raises(Exception, match="engine"):
        job.run("engine.simulated.fail_start=true")
    status = job_status(str(job.output))
    assert status["state"] == "stopped"
    assert status["shards"] == {"planned": 4, "done": 2}
    assert (status["rows"]["planned"], status["rows"]["done"]) == (16, 8)
    assert "run the same command again" in status_text(status)


def test_a_job_waits_for_no_file_that_is_gone(job: Job) -> None:
    job.write("b.parquet", range(12, 16))
    job.run()
    min(job.output.glob("part-*.parquet")).unlink()
    for path in job.records.iterdir():
        path.unlink()
    job.write("c.parquet", range(20, 24))
    job.run()
    status = job_status(str(job.output))
    assert (status["state"], status["shards"]) == ("complete", {"planned": 4, "done": 4})


def test_a_failed_row_is_not_done(job: Job) -> None:
    job.run("engine.simulated.fail_if_contains=def f7(")
    status = job_status(str(job.output))
    rows = status["rows"]
    assert (rows["ok"], rows["failed"], rows["done"], rows["planned"]) == (11, 1, 11, 12)
    assert status["state"] == "complete with failed rows"
    assert f"batchfim retry {job.output}" in status_text(status)
    assert not job.complete


def test_workers_that_a_run_lost_are_named_with_the_last_cause(job: Job) -> None:
    result = job.run("engine.simulated.die_if_contains=def f7(")
    text = status_text(job_status(str(job.output)))
    (run,) = Ledger.at(str(job.output)).runs.last()
    assert run.run["workers_lost"] > 1
    assert run.run["last_loss"].endswith(": the simulated engine died on demand")
    shown = f"workers lost: {run.run['workers_lost']}, the last {run.run['last_loss']}"
    assert shown in summary_text(result.summary, str(job.output))
    assert shown in " ".join(text.split())
    result = job.run()
    assert "workers lost" not in summary_text(result.summary, str(job.output), idle=result.idle)


def test_a_cause_that_looks_like_markup_is_shown_as_it_is(job: Job) -> None:
    job.run()
    status = job_status(str(job.output))
    status["history"][0]["cause"] = "no room in [/data/x] :x:"
    assert ": no room in [/data/x] :x:" in status_text(status)


def test_a_rejected_row_is_done(job: Job) -> None:
    job.write("a.parquet", range(12), prefix=pa.array([None] + ["x = "] * 11, pa.string()))
    job.run()
    status = job_status(str(job.output))
    assert (status["state"], status["rows"]["rejected"], status["rows"]["done"]) == (
        "complete",
        1,
        12,
    )
    assert job.complete


def test_a_held_job_is_running_and_says_by_whom(job: Job) -> None:
    job.run()
    lease = Ledger.at(str(job.output)).lease_folder
    with JobLease(lease):
        status = job_status(str(job.output))
        assert (status["state"], status["holder"]["pid"]) == ("running", os.getpid())
        assert "running, by process" in status_text(status)
    assert job_status(str(job.output))["state"] == "complete"


def test_a_place_without_a_job_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no batchfim job found"):
        job_status(str(tmp_path))
    with pytest.raises(OutputError, match="no batchfim job found"):
        job_status(str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_same_numbers(job: Job) -> None:
    job.run()
    runner = CliRunner()
    shown = runner.invoke(app, ["status", str(job.output), "--json"])
    assert json.loads(shown.stdout) == json.loads(json.dumps(job_status(str(job.output))))
    text = runner.invoke(app, ["status", str(job.output)]).stdout
    assert text.startswith(f"{job.output}: complete\n")


def test_speed_and_time_left_come_from_the_newest_markers(job: Job) -> None:
    job.run()
    more = cut_shards([InputFile("/b.parquet", "bb", 400, 1.0)], 400, "job")
    ledger = Ledger.at(str(job.output))
    ledger.add_to_plan(more)
    now_s = time.time()
    for age_s, marker in zip((2000, 100, 50), sorted((job.ledger / "done").iterdir()), strict=True):
        os.utime(marker, (now_s - age_s, now_s - age_s))
    assert job_status(str(job.output))["rows_per_s"] is None  # nobody is at work
    with JobLease(ledger.lease_folder):
        status = job_status(str(job.output))
    assert status["rows_per_s"] == pytest.approx(4 / 100, rel=0.2)  # the oldest is of long ago
    assert status["left_s"] == pytest.approx(400 / status["rows_per_s"])
    assert "rows/s recently" in status_text(status)


def test_a_retry_has_no_pace_as_its_rows_are_in_their_parts_already(job: Job) -> None:
    job.run("engine.simulated.fail_if_contains=def f7(")
    with JobLease(Ledger.at(str(job.output)).lease_folder):
        status = job_status(str(job.output))
    assert (status["state"], status["rows_per_s"], status["left_s"]) == ("running", None, None)
    assert "rows/s recently" not in status_text(status)


def test_the_numbers_are_the_same_once_markers_are_in_segments(job: Job) -> None:
    job.run()
    before = job_status(str(job.output))
    Ledger.at(str(job.output)).compact()
    assert job_status(str(job.output)) == before


def test_what_a_killed_run_planned_is_left_to_do(job: Job) -> None:
    job.run("sampling.n=2", "sampling.temperature=1")
    later = InputFile("/b.parquet", "bb", 4, 10.0)
    Ledger.at(str(job.output)).add_to_plan(cut_shards([later], 4, "job"))
    status = job_status(str(job.output))
    assert (status["state"], status["complete"]) == ("stopped", False)
    assert status["rows"]["planned"] == 24 + 8
