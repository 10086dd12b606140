"""Input files that move between runs and change later; what changed is not told of as missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batchfim.accounts.status import job_status
from batchfim.accounts.status_text import status_text
from batchfim.accounts.summary_text import summary_text
from batchfim.accounts.verify import verify_job
from batchfim.api import retry_job
from batchfim.errors import InputError
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job, names

NONE = {"shards": 0, "records": 0}


def rename_file(job: Job) -> Path:
    return (job.records / "a.parquet").rename(job.records / "b.parquet")


def rename_folder(job: Job) -> Path:
    job.records = job.records.rename(job.records.with_name("records2"))
    return job.records / "a.parquet"


def done(job: Job, rows: range) -> None:
    """The job is complete and has these rows alone, and nothing is missed."""
    assert job.ids() == [f"r{row}" for row in rows]
    assert (job.complete, job.summary["absent"]) == (True, NONE)
    assert verify_job(str(job.output))["problems"] == []


@pytest.mark.parametrize("move", [rename_file, rename_folder])
def test_a_file_that_moved_and_then_changed_is_done_anew_and_not_mixed(
    job: Job, move: Callable[[Job], Path]
) -> None:
    job.run()
    path = move(job)
    assert job.run().idle
    done(job, range(12))
    job.write(path.name, range(100, 110))
    assert job.run().summary["runs"][-1]["records"] == 10
    done(job, range(100, 110))
    assert job.run().idle


@pytest.mark.parametrize("step", ["add_to_plan", "supersede"])
def test_a_run_that_is_killed_loses_and_mixes_nothing(
    job: Job, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw the corrected file, which then moves on."""
    job.run()
    path = rename_file(job)
    job.run()
    job.write(path.name, range(100, 110))
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, step, _killed)
        with pytest.raises(KeyboardInterrupt):
            job.run()
    assert not job.complete
    path.rename(job.records / "c.parquet")
    job.run()
    done(job, range(100, 110))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_changed_is_not_told_of_as_missing(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    job.run()
    job.write("a.parquet", range(100, 110))
    for _ in range(2):
        text = summary_text(job.run().summary, "out")
        assert "not processed" not in text + caplog.text
        done(job, range(100, 110))
    rename_file(job)  # the file in whose place the old one was
    assert job.run().idle
    status = job_status(str(job.output))
    assert (status["state"], status["absent"], "not processed" in status_text(status)) == (
        *("complete", NONE),
        False,
    )
    assert "not processed" not in caplog.text


def test_what_is_left_of_a_changed_file_does_not_hold_up_the_job(job: Job) -> None:
    """It changed before it was done."""
    job.run()
    min(job.output.glob("part-*.parquet")).unlink()
    job.write("a.parquet", range(100, 110))
    job.run()
    done(job, range(100, 110))


def test_the_content_of_before_is_done_again(job: Job) -> None:
    job.run()
    job.write("a.parquet", range(100, 110))
    job.run()
    job.write("a.parquet", range(12))
    job.run()
    done(job, range(12))
    assert job.ids() == names(12)


def test_a_retry_looks_for_a_moved_file_where_it_was_last_seen(job: Job) -> None:
    assert job.run("engine.simulated.fail_if_contains=f5(").exit_code == 3
    path = rename_folder(job)
    other = Job(job.records.with_name("other"), job.output)
    other.write("b.parquet", range(12, 16))
    job.run()
    other.run()  # without the moved file, which a retry finds all the same
    job.write(path.name, range(1, 13))
    with pytest.raises(InputError, match=f"1 files have changed since, such as {path}"):
        retry_job(str(job.output), None, ())
    job.write(path.name, range(12))
    result = retry_job(str(job.output), None, ("engine.simulated.fail_if_contains=null",))
    assert (result.exit_code, result.summary["rows"]["failed"]) == (0, 0)
