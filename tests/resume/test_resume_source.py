"""Where a row came from: its file and its number there, and results in the order of the input."""

from __future__ import annotations

import pytest

from batchfim.api import open_results, retry_job
from batchfim.errors import InputError, OutputError
from tests.jobs_in_process import Job, names


def places(job: Job, *columns: str) -> list[tuple[object, ...]]:
    table = open_results(str(job.output)).to_table()
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def test_results_are_in_the_order_of_the_input_and_later_files_come_last(job: Job) -> None:
    job.write("b.parquet", range(12, 40))
    job.run()
    assert places(job, "id") == [(name,) for name in names(40)]
    job.write("0.parquet", range(40, 44))
    job.run()
    assert places(job, "id") == [(name,) for name in names(44)]


def test_each_row_says_where_its_record_is(job: Job) -> None:
    other = job.write("b.parquet", range(12, 18))
    job.run("output.source=true", "input.keep=[]", "sampling.n=2", "sampling.temperature=1")
    first = job.records / "a.parquet"
    records = [(str(first), row) for row in range(12)] + [(str(other), row) for row in range(6)]
    expected = [(*record, sample) for record in records for sample in range(2)]
    assert places(job, "source_file", "source_row", "sample") == expected
    assert job.rows()[0].keys() >= {"source_file", "source_row", "middle"}
    assert "prefix" not in job.rows()[0]


def test_a_retried_row_says_where_its_record_is(job: Job) -> None:
    job.run("output.source=true", "engine.simulated.fail_if_contains=f7(")
    assert [row["source_row"] for row in job.rows() if row["status"] == "failed"] == [7]
    retry_job(str(job.output), sets=["engine.simulated.fail_if_contains=null"])
    assert places(job, "source_row", "status") == [(row, "ok") for row in range(12)]


def test_with_these_columns_it_is_another_job(job: Job) -> None:
    job.run()
    with pytest.raises(OutputError, match=r"columns kept\.source_file: string is new"):
        job.run("output.source=true")
    assert job.run("output.source=false").idle


def test_an_input_that_has_them_is_refused(job: Job) -> None:
    job.write("a.parquet", range(12), source_row=[1] * 12)
    with pytest.raises(InputError, match=r"^output\.source adds .* already has source_row; rename"):
        job.run("output.source=true")
    job.run()
    assert {row["source_row"] for row in job.rows()} == {1}
