"""Reports of jobs that have little to show: each opens, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from batchfim.api import compare_jobs, evaluate_job, report_job
from batchfim.errors import InputError
from batchfim.quality.options import Options
from batchfim.report.compare import comparison_text
from batchfim.sandbox.sandbox import Limits
from tests.jobs_in_process import Job
from tests.report.browsing import View, browser, view

__all__ = ["browser", "view"]
NUM = 4


def without_references(job: Job) -> str:
    job.write("a.parquet", range(NUM))
    job.run()
    evaluate_job(str(job.output))
    return "no column middle_reference"


def references_of_any_length(job: Job) -> str:
    references = ["", "x", "total = 1\n" * 5000, None]
    job.write("a.parquet", range(NUM), middle_reference=references)
    job.run()
    evaluate_job(str(job.output))
    return "1 rows have no middle_reference"


def programs_without_end(job: Job) -> str:
    endless = ["def check(f):\n    while True: pass\n"] * NUM
    points = [f"f{row}" for row in range(NUM)]
    tests = {"test": endless, "entry_point": points, "suffix": ["\n"] * NUM}
    job.write("a.parquet", range(NUM), middle_reference=["x"] * NUM, **tests)
    job.run()
    run = Options(middle="middle_reference", execution=Limits(timeout_s=1))
    evaluate_job(str(job.output), run)
    return "4 programs did not end within 1 s and count as not passed"


def not_one_good_row(job: Job) -> str:
    job.write("a.parquet", range(NUM), prefix=pa.nulls(NUM, pa.string()))
    job.run()
    with pytest.raises(InputError, match="no row is ok"):
        evaluate_job(str(job.output))
    assert "rows rejected" in comparison_text(compare_jobs([str(job.output)] * 2))
    return "column 'prefix' is null, expected text"


def no_row_at_all(job: Job) -> str:
    job.write("a.parquet", range(NUM))
    job.run()
    for place in (*job.output.glob("part-*"), *(job.ledger / "done").iterdir()):
        place.unlink()
    return "No row has been committed yet"


ODD = [
    without_references,
    references_of_any_length,
    programs_without_end,
    not_one_good_row,
    no_row_at_all,
]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("view", ["light"], indirect=True)
def test_the_report_opens_and_says_what_is_missing(
    make: Callable[[Job], str], tmp_path: Path, view: View
) -> None:
    job = Job(tmp_path / "records", tmp_path / "out")
    said = make(job)
    report_job(str(job.output))
    view.open(job.ledger / "report.html")
    assert said in view.page.inner_text("body")
    for name in view.page.locator("#evaluation tbody td:first-child").all():
        assert name.bounding_box()["height"] < 80, name.inner_text()
    assert view.complaints == []
