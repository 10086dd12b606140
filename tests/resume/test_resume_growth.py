"""A job whose input grows, moves or changes its columns between two runs."""

from __future__ import annotations

import pytest

from batchfim.errors import EngineStartError, OutputError
from tests.jobs_in_process import Job, names


def test_a_second_file_with_another_column_is_refused(job: Job) -> None:
    job.run()
    before = job.parts()
    wider = job.write("../other/b.parquet", range(12, 16), stars=[1] * 4)

    with pytest.raises(
        OutputError, match=r"another job \(columns kept\.stars: int64 is new\).*input\.keep"
    ):
        job.run(paths=[wider])

    assert job.parts() == before
    assert job.complete
    assert job.run().idle  # the job itself is as it was


def test_a_moved_file_is_adopted(job: Job) -> None:
    job.run()
    before = job.parts()
    moved = (job.records / "a.parquet").rename(job.records / "renamed.parquet")

    assert job.run().idle
    assert job.parts() == before

    job.write("b.parquet", range(12, 16))
    result = job.run()
    assert result.summary["runs"][-1]["records"] == 4
    assert job.ids() == names(16)
    assert moved.exists()


def test_moved_twins_are_adopted_both(job: Job) -> None:
    job.write("twin.parquet", range(12))
    job.run()
    job.records.rename(job.records.with_name("elsewhere"))

    assert job.run(paths=[job.records.with_name("elsewhere")]).idle
    assert len(job.rows()) == 24


def test_a_file_moved_before_its_work_was_finished_is_read_where_it_lies(job: Job) -> None:
    job.run()
    min(job.output.glob("part-*.parquet")).unlink()
    (job.records / "a.parquet").rename(job.records / "renamed.parquet")
    job.run()
    assert job.ids() == names(12)


def test_a_grown_job_is_not_complete_until_it_is_worked(job: Job) -> None:
    job.run()
    assert job.complete
    job.write("b.parquet", range(12, 16))
    with pytest.raises(EngineStartError):
        job.run("engine.simulated.fail_start=true")
    assert not job.complete
    job.run()
    assert job.complete
    assert job.ids() == names(16)
