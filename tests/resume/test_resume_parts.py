"""Parts that somebody deleted or damaged between two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.api import open_results
from batchfim.errors import JobFailed
from tests.jobs_in_process import Job, names


def first_part(job: Job) -> Path:
    return min(job.output.glob("part-*.parquet"))


def test_a_deleted_part_is_made_again_and_the_others_stay(job: Job) -> None:
    job.run()
    before = job.parts()
    gone = first_part(job)
    gone.unlink()

    result = job.run()

    assert not result.idle
    assert result.summary["runs"][-1]["records"] == 4
    after = job.parts()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {gone.name}
    assert job.ids() == names(12)
    assert job.complete


@pytest.mark.parametrize("keep", [0, 100])
def test_a_part_cut_short_fails_the_audit_by_name(job: Job, keep: int) -> None:
    job.run()
    part = first_part(job)
    content = part.read_bytes()
    part.write_bytes(content[:keep])

    with pytest.raises(JobFailed) as caught:
        job.run()

    assert f"{part.name} has {keep} bytes, but its marker says {len(content)}" in str(caught.value)
    assert part.read_bytes() == content[:keep]  # nothing is thrown away unasked
    assert job.summary["complete"] is False
    assert not job.complete


def test_what_the_audit_says_to_do_helps(job: Job) -> None:
    job.run()
    part = first_part(job)
    part.write_bytes(b"")
    with pytest.raises(JobFailed, match="delete the parts of these shards"):
        job.run()

    part.unlink()
    result = job.run()

    assert result.summary["runs"][-1]["records"] == 4
    assert job.ids() == names(12)
    assert job.complete


def test_a_part_without_a_marker_is_no_result_and_goes(job: Job) -> None:
    job.run()
    part = job.output / min(job.parts())
    part.with_name(f"part-{'0' * 20}.parquet").write_bytes(part.read_bytes())
    assert open_results(str(job.output)).count_rows() == 12
    job.run()
    assert job.ids() == names(12)
