"""Failed rows worked again, each in its place."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest

from batchfim.api import JobResult, job_status, retry_job, verify_job
from batchfim.errors import EngineStartError, InputError, JobFailed, OutputError, StorageError
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job, names

FAIL = ("engine.simulated.fail_if_contains=f5(", "engine.simulated.refuse_if_contains=f2(")
WELL = "engine.simulated.fail_if_contains=null"


def retry(job: Job, *sets: str) -> JobResult:
    return retry_job(str(job.output), None, sets)


def in_order(job: Job) -> list[dict[str, Any]]:
    """All rows by part, in the order they have there."""
    return [
        row for part in sorted(job.parts()) for row in pq.read_table(job.output / part).to_pylist()
    ]


def test_only_failed_rows_change_and_each_in_its_place(job: Job) -> None:
    assert job.run(*FAIL).exit_code == 3
    before, parts = in_order(job), job.parts()
    assert not job.complete

    result = retry(job, WELL)

    assert result.exit_code == 0
    after = in_order(job)
    assert [row["id"] for row in after] == [row["id"] for row in before]
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [(row["id"], row["status"], row["attempt"]) for row in changed] == [("r5", "ok", 2)]
    touched = {name for name, time_ns in job.parts().items() if time_ns != parts[name]}
    assert len(touched) == 1
    assert {row["id"]: row["status"] for row in after}["r2"] == "rejected"
    assert job.complete


def test_the_summary_is_of_the_parts_as_they_are_now(job: Job) -> None:
    job.run(*FAIL)
    retry(job, WELL)
    rows = job.summary["rows"]
    assert (rows["ok"], rows["rejected"], rows["failed"]) == (11, 1, 0)
    assert job.summary["seconds"]["latency_s"]["max"] == max(
        row["latency_s"] for row in job.rows() if row["latency_s"] is not None
    )
    assert job.summary["errors"] == {"the engine refused the prompt: refused on demand": 1}
    assert (job.summary["runs"][-1]["records"], job.summary["runs"][-1]["rows"]) == (1, 1)
    assert verify_job(str(job.output))["problems"] == []


def test_the_table_of_shards_is_of_the_whole_parts_and_says_what_was_retried(job: Job) -> None:
    job.run(*FAIL)
    retry(job, WELL, "metrics.report=true")
    table = pq.read_table(job.ledger / "metrics" / "shards.parquet").to_pylist()
    for name, total in (("rows", 12), ("ok", 11), ("rejected", 1), ("failed", 0)):
        assert sum(shard[name] for shard in table) == job.summary["rows"][name] == total
    tokens = sum(shard["completion_tokens"] for shard in table)
    assert tokens == job.summary["tokens"]["completion"]
    (row,) = (row for row in job.rows() if row["id"] == "r5")
    (shard,) = (shard for shard in table if shard["retried"])
    assert shard["attempt"] == row["attempt"] == 2
    assert (shard["retried"]["rows"], shard["retried"]["latency_s"]) == (1, row["latency_s"])


def test_the_middle_is_what_it_would_have_been(job: Job) -> None:
    job.run(*FAIL)
    retry(job, WELL)
    other = Job(job.records, job.output.with_name("other"))
    other.run(FAIL[1])
    assert {r["id"]: r["middle"] for r in job.rows()} == {
        r["id"]: r["middle"] for r in other.rows()
    }


def test_of_several_samples_each_keeps_its_place_and_seed(job: Job) -> None:
    samples = ("sampling.n=3", "sampling.temperature=1")
    job.run(*FAIL, *samples)
    before = in_order(job)
    retry(job, WELL)
    after = in_order(job)
    other = Job(job.records, job.output.with_name("other"))
    other.run(FAIL[1], *samples)
    expected = {(row["id"], row["sample"]): row["middle"] for row in other.rows()}
    assert len(after) == 36
    assert [(row["id"], row["sample"]) for row in after] == [
        (row["id"], row["sample"]) for row in before
    ]
    assert {(row["id"], row["sample"]): row["middle"] for row in after} == expected


def test_rows_that_fail_again_stay_failed(job: Job) -> None:
    job.run(*FAIL)
    result = retry(job)
    assert result.exit_code == 3
    assert [row["id"] for row in job.rows() if row["status"] == "failed"] == ["r5"]
    assert not job.complete


def test_a_retrys_own_settings_are_for_that_retry(job: Job) -> None:
    job.run(*FAIL)
    assert retry(job, "schedule.task_attempts=1").exit_code == 3
    config = Ledger.at(str(job.output)).job()["config"]
    assert config["schedule"]["task_attempts"] != 1
    job.run(*FAIL, "schedule.task_attempts=2")  # a run's are for what comes after it
    config = Ledger.at(str(job.output)).job()["config"]
    assert config["schedule"]["task_attempts"] == 2


def test_without_failed_rows_nothing_is_done(job: Job) -> None:
    job.run()
    before = job.parts()
    result = retry(job)
    assert result.idle
    assert result.exit_code == 0
    assert job.parts() == before


def test_a_run_does_not_retry_by_itself(job: Job) -> None:
    job.run(*FAIL)
    result = job.run()
    assert result.idle
    assert result.exit_code == 3


def run_two_files(job: Job) -> None:
    """A failed row in each: r5 in `a.parquet`, r13 in `b.parquet`."""
    job.write("b.parquet", range(12, 16), suffix=["\n", "\n# f5(\n", "\n", "\n"])
    assert job.run(*FAIL).exit_code == 3
    assert failed_ids(job) == ["r5", "r13"]


def failed_ids(job: Job) -> list[str]:
    found = {row["id"] for row in job.rows() if row["status"] == "failed"}
    return [name for name in names(16) if name in found]


@pytest.mark.parametrize("restored", [True, False])
def test_a_file_that_is_gone_holds_up_no_other(
    job: Job, restored: bool, caplog: pytest.LogCaptureFixture
) -> None:
    run_two_files(job)
    lost = (job.records / "a.parquet").rename(job.records.with_name("kept"))
    assert retry(job, WELL).exit_code == 3
    assert failed_ids(job) == ["r5"]
    assert job.summary["runs"][-1]["records"] == 1
    told = re.search(
        r"1 files are gone, such as (\S+): restore them, or .* such as (part-\w+\.parquet)",
        caplog.text,
    )
    assert told
    assert told[1] == str(job.records / "a.parquet")
    if restored:
        lost.rename(told[1])
        assert retry(job, WELL).exit_code == 0
        assert job.ids() == names(16)
    else:
        (job.output / told[2]).unlink()
        assert job.run().exit_code == 0
        assert len(job.ids()) == 12
    assert job.complete


def test_a_file_that_changed_holds_up_no_other(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    run_two_files(job)
    job.write("a.parquet", range(1, 13))
    assert retry(job, WELL).exit_code == 3
    assert failed_ids(job) == ["r5"]
    changed = f"1 files have changed since, such as {job.records / 'a.parquet'}: `batchfim run`"
    assert changed in caplog.text
    assert job.run(FAIL[1]).exit_code == 0
    assert job.complete


def test_where_all_files_with_failed_rows_are_lost_nothing_is_touched(job: Job) -> None:
    job.write("b.parquet", range(12, 16))
    job.run(*FAIL)
    before = job.parts()
    job.write("a.parquet", range(1, 13))
    with pytest.raises(InputError, match=r"1 files have changed since, such as .*a\.parquet"):
        retry(job, WELL)
    (job.records / "a.parquet").unlink()
    with pytest.raises(InputError, match=r"1 files are gone, such as .*a\.parquet"):
        retry(job, WELL)
    assert job.parts() == before


def test_other_settings_than_the_jobs_are_refused(job: Job) -> None:
    job.run(*FAIL)
    with pytest.raises(OutputError, match=r"sampling\.max_tokens"):
        retry(job, "sampling.max_tokens=5")


def test_where_no_job_is_there_is_nothing_to_retry(job: Job) -> None:
    with pytest.raises(OutputError, match="no batchfim job"):
        retry(job)


def test_rows_of_an_input_that_came_later_are_retried_too(job: Job) -> None:
    job.run()
    later = job.write("../later/b.parquet", range(12, 16))
    paths = (job.records, later)
    assert job.run("engine.simulated.fail_if_contains=f13(", paths=paths).exit_code == 3
    assert retry(job, WELL).exit_code == 0
    assert job.complete
    assert job.ids() == names(16)


def test_rows_of_an_input_that_the_last_run_had_not_are_retried_too(job: Job) -> None:
    job.run("engine.simulated.fail_if_contains=f5(")
    later = job.write("../later/b.parquet", range(12, 16))
    assert job.run("engine.simulated.fail_if_contains=f13(", paths=[later]).exit_code == 3
    assert retry(job, WELL).exit_code == 0
    assert job.ids() == names(16)
    assert {row["status"] for row in job.rows()} == {"ok"}


def test_a_job_that_is_not_finished_is_not_complete_after_a_retry(job: Job) -> None:
    job.run(*FAIL)
    job.write("b.parquet", range(12, 16))
    with pytest.raises(EngineStartError):
        job.run(*FAIL, "engine.simulated.fail_start=true")
    for _ in range(2):  # the second finds no failed row
        with pytest.raises(JobFailed, match=r"1 planned shards .* `batchfim run`"):
            retry(job, WELL, "engine.simulated.fail_start=false")
        assert not job.complete
        assert not job.summary["complete"]
    assert job_status(str(job.output))["state"] == "stopped"
    assert job.run(FAIL[1]).exit_code == 0
    assert job.complete


@dataclass
class Killed:
    """A job with a failed row, after a retry that was killed while it replaced that row's part."""

    job: Job
    shard: str
    new_part: bytes
    new_marker: bytes

    @classmethod
    def of(cls, job: Job) -> Killed:
        """The retry that was killed is one that ended, taken back."""
        job.run(*FAIL)
        before = job.output.with_name("before")
        shutil.copytree(job.output, before)
        ledger = Ledger.at(str(job.output))
        shard = next(row["shard_id"] for row in ledger.shards().to_pylist() if row["failed"])
        retry(job, WELL)
        new = ledger.part(shard).read(), (ledger.root / "done" / f"{shard}.json").read()
        shutil.rmtree(job.output)
        before.rename(job.output)
        return cls(job, shard, *new)

    def leave(self, *, part: bool, marker: bool) -> None:
        """What was done before the kill."""
        done = self.job.ledger / "done"
        (done / f"{self.shard}.void").write_bytes(self.new_marker)
        if part:
            (self.job.output / f"part-{self.shard}.parquet").write_bytes(self.new_part)
        if marker:
            (done / f"{self.shard}.json").write_bytes(self.new_marker)


STEPS = [{"part": False, "marker": False}, {"part": True, "marker": False}]
STEPS += [{"part": True, "marker": True}]


@pytest.mark.parametrize("step", STEPS)
def test_a_retry_killed_while_it_replaces_a_part_costs_no_row(
    job: Job, step: dict[str, bool]
) -> None:
    Killed.of(job).leave(**step)
    later = job.write("../later/b.parquet", range(12, 16))
    assert job.run(FAIL[1], paths=[later]).exit_code == (0 if step["part"] else 3)
    assert job.summary["runs"][-1]["records"] == 4  # its own rows alone
    assert job.ids() == names(16)
    assert verify_job(str(job.output))["problems"] == []

    assert retry(job, WELL).exit_code == 0
    assert job.complete
    assert job.ids() == names(16)
    assert {row["status"] for row in job.rows()} == {"ok", "rejected"}


def test_after_such_a_kill_another_job_is_refused_all_the_same(job: Job) -> None:
    Killed.of(job).leave(part=False, marker=False)
    before = job.parts()
    with pytest.raises(OutputError, match=r"sampling\.max_tokens"):
        job.run("sampling.max_tokens=5")
    assert job.parts() == before


def test_a_part_that_is_gone_while_it_was_replaced_is_made_again(job: Job) -> None:
    killed = Killed.of(job)
    killed.leave(part=False, marker=False)
    (job.output / f"part-{killed.shard}.parquet").unlink()
    with pytest.raises(JobFailed, match="1 planned shards are not processed yet"):
        retry(job, WELL)
    assert not job.complete
    assert job.run(FAIL[1]).summary["runs"][-1]["records"] == 4
    assert job.complete
    assert job.ids() == names(12)
    assert verify_job(str(job.output))["problems"] == []


def test_a_job_that_was_killed_before_its_plan_is_not_complete_after_a_retry(job: Job) -> None:
    with pytest.raises(EngineStartError):
        job.run("engine.simulated.fail_start=true")
    shutil.rmtree(job.ledger / "plan")
    with pytest.raises(JobFailed, match="no shards are planned yet"):
        retry(job)
    assert not job.complete


def test_a_retry_after_a_run_that_was_killed_while_it_withdrew_is_no_success(job: Job) -> None:
    """The new file's rows are owed as soon as the old one's may be gone."""
    job.run(*FAIL)
    part = job.output / min(job.parts())
    part.unlink()
    part.mkdir()  # which cannot be deleted as a file
    job.write("a.parquet", range(100, 110))
    with pytest.raises(StorageError):
        job.run(*FAIL)
    part.rmdir()
    with pytest.raises(JobFailed, match="planned shards are not processed yet"):
        retry(job, WELL)
    assert not job.complete
    assert job.run().exit_code == 0
    assert job.ids() == [f"r{row}" for row in range(100, 110)]


def test_a_retry_removes_what_a_killed_run_left(job: Job) -> None:
    job.run(*FAIL)
    left = [job.ledger / name for name in ("summary.json.1a.tmp", "runs/x.json.1a.tmp")]
    for path in left:
        path.write_bytes(b"{")
    assert retry(job, WELL).exit_code == 0
    assert not any(path.exists() for path in left)
    assert verify_job(str(job.output))["problems"] == []


def test_a_retry_cuts_no_shard(job: Job) -> None:
    job.run(*FAIL)
    dies = ("engine.simulated.die_if_contains=f5(", "schedule.setbacks=50")
    assert retry(job, WELL, *dies).exit_code == 3
    assert verify_job(str(job.output))["problems"] == []
    assert job.ids() == names(12)


def test_records_are_counted_once_each_whatever_their_samples(job: Job) -> None:
    job.run(*FAIL, "sampling.n=3", "sampling.temperature=1")
    retry(job, WELL)
    assert (job.summary["records"], job.summary["rows"]["rows"]) == (12, 36)


def test_errors_of_rows_that_were_not_retried_stay_counted(job: Job) -> None:
    marks = ("fail_if_contains=f5(", "refuse_if_contains=f6(")  # of one shard
    job.run(*(f"engine.simulated.{mark}" for mark in marks))
    before = job.summary["errors"]
    retry(job, WELL)
    refused = "the engine refused the prompt: refused on demand"
    assert (before[refused], job.summary["errors"]) == (1, {refused: 1})


def test_rows_that_fail_again_hold_up_no_other(job: Job) -> None:
    """Ten shards with a row that fails for good, before two whose row would succeed now."""
    rows = range(48)
    why = ["bad_always" if row < 40 else "bad_once" for row in rows]
    prefixes = [f"{why[row] if row % 4 == 0 else 'good'}(" for row in rows]
    job.write("a.parquet", rows, prefix=prefixes)
    assert job.run("engine.simulated.fail_if_contains=bad_").summary["rows"]["failed"] == 12
    result = retry(job, "engine.simulated.fail_if_contains=bad_always")
    assert (result.exit_code, result.summary["rows"]["failed"]) == (3, 10)
    assert result.summary["complete"]
