"""A run whose job is another run's by now: it withdraws nothing, and tells nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from batchfim.errors import JobFailed
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job


def lose_lease_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The job is another run's from where the ledger is asked for this."""
    lost, own = [], getattr(Ledger, step)

    def lose(*args: Any) -> Any:
        lost.append(step)
        (args[0].root / "staging" / "of-the-other-run.parquet").write(b"")
        return own(*args)

    monkeypatch.setattr(JobLease, "lost", property(lambda _: bool(lost)))
    monkeypatch.setattr(Ledger, step, lose)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("step", ["planned_files", "commit", "parts"])
def test_a_run_that_lost_its_lease_withdraws_and_tells_nothing_more(
    job: Job, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    job.run()
    before, summary = job.parts(), job.summary
    job.write("a.parquet" if step == "planned_files" else "b.parquet", range(20, 28))
    lose_lease_at(monkeypatch, step)
    with pytest.raises(JobFailed, match="lost the job's lease"):
        job.run("schedule.shards_in_hand=1")
    assert before.items() <= job.parts().items()
    assert job.summary == summary
    assert (job.ledger / "staging" / "of-the-other-run.parquet").exists() or step == "parts"
