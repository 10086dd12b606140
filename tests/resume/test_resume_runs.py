"""What `summary.json` tells of a job that took several runs."""

from __future__ import annotations

import json
import signal
import threading
from socket import gethostname

import pytest

from batchfim.accounts.status import job_status
from batchfim.accounts.status_text import status_text
from batchfim.accounts.summary_text import summary_text
from batchfim.accounts.summing import summary_now
from batchfim.api import retry_job
from batchfim.errors import JobFailed, StorageError
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job

DIES_LATE = (
    "engine.simulated.die_if_contains=def f17(",
    "schedule.setbacks=1",
    "schedule.shards_in_hand=1",
)


def test_each_run_adds_its_own_entry(job: Job) -> None:
    for run, records in enumerate((12, 4, 8)):
        job.write(f"{run}.parquet", range(100 * run, 100 * run + records))
        if run == 0:
            (job.records / "a.parquet").unlink()
        job.run()
    runs = job.summary["runs"]
    assert [run["records"] for run in runs] == [12, 4, 8]
    assert [run["shards"] for run in runs] == [3, 1, 2]
    assert [len(run["engines"]) for run in runs] == [1, 1, 1]
    assert job.summary["records"] == 24


def test_a_run_that_failed_has_done_what_it_did(job: Job) -> None:
    job.run()
    job.write("b.parquet", range(12, 20))
    with pytest.raises(JobFailed, match="died on demand"):
        job.run(*DIES_LATE)
    summary, status = job.summary, job_status(str(job.output))
    assert [run["records"] for run in summary["runs"]] == [12, 4]
    assert (summary["complete"], summary["records"]) == (False, 16)
    assert (status["state"], status["records"]) == ("stopped", 16)
    assert summary["runs"][-1] in [record["run"] for record in status["history"]]
    assert " 1 of 2  4        failed: " in status_text(status)
    job.run()
    assert [run["shards"] for run in job.summary["runs"]] == [3, 1, 1]
    assert job.summary["complete"]


def test_storage_that_fails_too_does_not_hide_why_a_run_failed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise StorageError("gone")

    job.run()
    first = job.summary
    job.write("b.parquet", range(12, 20))
    monkeypatch.setattr(Ledger, "write_summary", fail)
    with pytest.raises(JobFailed, match="died on demand"):
        job.run(*DIES_LATE)
    assert job.summary == first
    assert not summary_now(ledger := Ledger.at(str(job.output)), ledger.done())["complete"]
    told = status_text(job_status(str(job.output)))
    assert " - of 2  -        failed: " in told


def test_what_a_killed_run_did_is_not_told(job: Job) -> None:
    job.run()
    status = job_status(str(job.output))
    status["history"][-1] |= {"ended_at": None, "end": None, "run": {}}
    assert " - of 3  -        running, or killed" in status_text(status)


def test_a_run_with_nothing_to_do_leaves_the_others_in_place(job: Job) -> None:
    job.run()
    first = job.summary
    result = job.run()
    assert result.idle
    assert job.summary == first
    assert result.summary["runs"] == first["runs"]
    text = summary_text(result.summary, str(job.output), idle=result.idle)
    assert "nothing was left to do" in text
    assert "12 records in 3 shards: 12 ok" in text


def test_a_summary_that_was_damaged_stops_no_run(job: Job) -> None:
    job.run()
    (job.ledger / "summary.json").write_bytes(b"\xff{")
    job.write("b.parquet", range(12, 16))
    job.run()
    assert [run["records"] for run in job.summary["runs"]] == [4]
    assert job.summary["records"] == 16


def test_a_run_stopped_while_it_waits_for_a_dead_machine_leaves_nothing(job: Job) -> None:
    job.run()
    claim = job.ledger / "lease" / "other.json"
    dead = {"host": "elsewhere", "machine": "another", "pid": 7, "started_s": 0.0, "held": True}
    claim.write_text(json.dumps(dead))
    timer = threading.Timer(2, signal.raise_signal, [signal.SIGTERM])
    timer.start()
    with pytest.raises(SystemExit) as stopped:
        job.run()
    assert stopped.value.code == 143
    assert [path.name for path in claim.parent.iterdir()] == ["other.json"]


def test_a_run_with_other_versions_says_so_and_is_kept_with_its_own(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    job.run()
    assert "became" not in caplog.text
    path = job.ledger / "job.json"
    content = json.loads(path.read_text())
    before, content["versions"]["pyarrow"] = content["versions"]["pyarrow"], "1.0"
    path.write_text(json.dumps(content))
    job.write("b.parquet", range(12, 20))
    job.run()
    assert f"first run (pyarrow 1.0 became {before}); middles may" in caplog.text
    history = job_status(str(job.output))["history"]
    assert [run["versions"]["pyarrow"] for run in history] == [before, before]
    assert [engine["host"] for engine in job.summary["runs"][-1]["engines"]] == [gethostname()]


def test_a_run_ends_in_time_and_the_next_one_goes_on(job: Job) -> None:
    slow = ("engine.simulated.decode_tokens_per_s=0.01", "engine.simulated.max_num_seqs=4")
    ended = job.run(*slow, "schedule.stop_after_s=0.5", "schedule.grace_s=0")
    assert (ended.exit_code, ended.end, job.complete) == (4, "stopped", False)
    assert job_status(str(job.output))["history"][-1]["end"] == "stopped"
    assert (job.run().exit_code, job.complete) == (0, True)
    assert [run["records"] for run in job.summary["runs"]] == [0, 12]


def test_a_run_that_fails_before_its_work_leaves_a_record_too(job: Job) -> None:
    job.run()
    with pytest.raises(JobFailed, match="no shards are planned"):
        retry_unplanned(job)
    (first, last) = job_status(str(job.output))["history"]
    assert (first["end"], last["end"], last["shards_to_do"]) == ("complete", "failed", 0)
    assert "no shards are planned" in last["cause"]


def retry_unplanned(job: Job) -> None:
    for file in (job.ledger / "plan").iterdir():
        file.unlink()
    (job.ledger / "summary.json").unlink()
    retry_job(str(job.output))
