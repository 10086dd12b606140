"""What `from batchfim import …` gives: every name, and nothing heavy before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import batchfim
from batchfim.errors import ConfigError, OutputError
from tests.jobs_in_process import Job
from tests.resume.conftest import job

__all__ = ["job"]


@pytest.mark.parametrize("name", batchfim.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(batchfim, name).__module__.startswith("batchfim.")


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'run_jobs'"):
        _ = batchfim.run_jobs


def test_the_package_alone_imports_no_library() -> None:
    code = "import batchfim, sys; print({'ray', 'pyarrow', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_results_are_the_finished_rows_and_no_others(job: Job) -> None:
    job.run()
    (job.output / ("part-" + "0" * 20 + ".parquet")).write_bytes(b"of a shard that is not done")
    table = batchfim.open_results(str(job.output)).to_table(columns=["id", "status"])
    assert sorted(table["id"].to_pylist()) == sorted(f"r{row}" for row in range(12))
    with pytest.raises(OutputError, match="no batchfim job found"):
        batchfim.open_results(str(job.records))


def test_a_job_without_finished_rows_has_results_with_its_columns(job: Job) -> None:
    job.write("a.parquet", range(12), stars=range(12))
    job.run("output.source=true")
    finished = batchfim.open_results(str(job.output))
    for marker in (job.ledger / "done").iterdir():
        marker.unlink()
    results = batchfim.open_results(str(job.output))
    assert results.to_table().schema.equals(finished.to_table().schema)
    assert results.to_table(columns=["middle", "status"]).num_rows == 0
    assert (results.files, results.count_rows()) == ([], 0)


def test_a_job_may_be_given_as_its_sections(job: Job) -> None:
    sections = {
        "input": {"paths": [str(job.records)]},
        "output": {"path": str(job.output)},
        "model": {"path": "demo"},
        "engine": {"backend": "simulated"},
        "schedule": {"pool": "local"},
    }
    assert batchfim.plan_job(sections)["rows"] == 12
    assert batchfim.run_job(sections).exit_code == 0
    wrong = sections | {"sampling": {"max_token": 8}}
    for call in (batchfim.plan_job, batchfim.run_job):
        with pytest.raises(ConfigError, match=r"^config: sampling\.max_token: unknown key; did"):
            call(wrong)
