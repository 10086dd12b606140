"""An input file whose content changed after its work was done: withdrawn, done anew, not mixed."""

from __future__ import annotations

import os
import time

import pyarrow.parquet as pq
import pytest

from batchfim.accounts.status import job_status
from batchfim.accounts.status_text import status_text
from batchfim.accounts.summary_text import summary_text
from batchfim.accounts.verify import verify_job
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job, names


@pytest.fixture(params=[False, True], ids=["markers", "segments"])
def done(job: Job, request: pytest.FixtureRequest) -> Job:
    """Two files, done; the markers apart or in a segment."""
    job.write("b.parquet", range(12, 16))
    job.run()
    if request.param:
        Ledger.at(str(job.output)).compact()
    return job


def test_only_the_changed_file_is_worked_and_its_old_rows_are_gone(done: Job) -> None:
    kept = {name for name in done.parts() if len(done.rows()) == 16}
    before = done.parts()
    done.write("a.parquet", range(100, 110))
    result = done.run()
    assert result.summary["runs"][-1]["records"] == 10
    assert done.ids() == [f"r{row}" for row in [*range(12, 16), *range(100, 110)]]
    same = {name for name, at in done.parts().items() if before.get(name) == at}
    assert (len(same), same <= kept) == (1, True)
    assert done.summary["rows"]["done"] == 14
    assert done.complete
    assert verify_job(str(done.output))["problems"] == []


def test_only_new_files_are_worked(done: Job) -> None:
    before = done.parts()
    done.write("c.parquet", range(16, 20))
    result = done.run()
    assert result.summary["runs"][-1]["records"] == 4
    assert before.items() <= done.parts().items()
    assert done.ids() == names(20)


def test_a_file_that_is_away_is_told_of_and_comes_back_whole(
    done: Job, caplog: pytest.LogCaptureFixture
) -> None:
    """First half of its work done, then away, then back: nothing is missed."""
    min(done.output.glob("part-*.parquet")).unlink()
    num_left = 16 - len(done.rows())
    path = next(
        path
        for path in sorted(done.records.iterdir())
        if not set(pq.read_table(path)["id"].to_pylist()) <= set(done.ids())
    )
    away = path.rename(done.records.with_name("a.away"))
    told = f"{num_left} planned records are not processed, as 1 files are no longer in the input, "
    assert done.run().summary["absent"] == {"shards": 1, "records": num_left}
    assert f"{told}such as {path}; " in caplog.text
    status = job_status(str(done.output))
    assert status["absent"] == {"shards": 1, "records": num_left}
    line = f"{num_left} planned records were not processed"
    assert line in status_text(status)
    assert line in summary_text(done.summary, str(done.output))
    away.rename(path)
    assert done.run().summary["absent"] == {"shards": 0, "records": 0}
    assert done.ids() == names(16)
    assert "not processed" not in status_text(job_status(str(done.output)))
    assert verify_job(str(done.output))["problems"] == []


def test_failed_rows_are_told_with_what_to_do_and_are_no_success(job: Job) -> None:
    result = job.run("engine.simulated.fail_if_contains=def f7(")
    assert (result.exit_code, job.complete, result.summary["complete"]) == (3, False, True)
    assert "run the failed rows again: batchfim retry out/" in summary_text(result.summary, "out/")
    again = job.run("engine.simulated.fail_if_contains=def f7(")
    assert (again.idle, again.exit_code, job.complete) == (True, 3, False)


def test_a_file_that_was_written_anew_and_looks_as_it_did_is_warned_of(
    done: Job, caplog: pytest.LogCaptureFixture
) -> None:
    """Its rows may have changed where size and footer tell nothing of it."""
    done.run()
    assert "were rewritten after they were planned" not in caplog.text
    path = done.write("a.parquet", range(12))
    later = time.time() + 60
    os.utime(path, (later, later))
    assert done.run().idle
    assert f"1 input files, such as {path}, were rewritten after they were planned" in caplog.text
