"""How a run ends: in time, with what it did, and for the right reasons."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from batchfim.driver.committer import Committer
from batchfim.errors import JobFailed, StorageError
from batchfim.metrics.run_state import RunState
from batchfim.metrics.shard_report import Counts, Retried, ShardReport
from batchfim.shards import Lease
from batchfim.workers.pool import Event, FailureKind, ShardEnded, ShardFailure, WorkerLeaving
from tests.driver.pools import SHARDS, ScriptedPool, drive, lose, open_ledger
from tests.driver.test_driver_loop import ALL, Slow


def answer_with(pool: ScriptedPool, **fields: Any) -> None:
    """Let each shard's report have these fields."""

    def change(worker: str, lease: Lease) -> list[Event]:
        (ended,) = pool.finish(worker, lease)
        assert isinstance(ended, ShardEnded)
        assert isinstance(ended.outcome, ShardReport)
        return [replace(ended, outcome=ended.outcome.model_copy(update=fields))]

    pool.script = change


NONE_OK = Counts(rows=10, failed=10)


def test_shards_of_which_no_row_succeeds_stop_the_job(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    answer_with(pool, counts=NONE_OK, errors={"the device is ill": 10})
    with pytest.raises(JobFailed, match=r"after 2 failures .* the device is ill"):
        drive(pool, workers=1, shards_in_hand=1, setbacks=2).run()


def test_retried_rows_that_fail_again_do_not(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    answer_with(pool, retried=Retried(records=10, counts=NONE_OK, attempt=2, timings={}))
    drive(pool, workers=1, shards_in_hand=1, setbacks=2).run()
    assert pool.ledger.done_ids() == ALL


def test_who_is_lost_while_a_run_ends_is_no_setback(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True], script=lose)
    stop_grace_s = lambda: 60.0 if pool.submitted else None  # noqa: E731
    drive(pool, workers=1, shards_in_hand=1, setbacks=1, stop_grace_s=stop_grace_s).run()


def test_rows_that_cannot_be_read_are_no_setback(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])

    def cannot_read(worker: str, lease: Lease) -> list[Event]:
        if lease.failure is not None:
            return pool.finish(worker, lease)
        failure = ShardFailure("the file is damaged", FailureKind.INPUT)
        return [ShardEnded(worker, lease, failure)]

    pool.script = cannot_read
    drive(pool, workers=1, shards_in_hand=1, setbacks=1, task_attempts=1).run()
    assert pool.ledger.done_ids() == ALL


def test_what_was_committed_is_told_also_where_the_last_commit_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    driver, closing, close = drive(pool, workers=1), threading.Event(), Committer.close

    def commit_late(report: ShardReport) -> None:
        closing.wait()
        if report.shard_id == SHARDS[3].id:
            raise StorageError("the disk is full")
        pool.ledger.commit(report)

    def let_go(self: Committer, within_s: float | None = None) -> object:
        closing.set()
        return close(self, within_s)

    driver.commit = commit_late
    monkeypatch.setattr(Committer, "close", let_go)
    with pytest.raises(StorageError, match="the disk is full"):
        driver.run()
    assert (driver.run_entry().shards, driver.run_entry().records) == (3, 30)


@dataclass
class Noting:
    states: list[RunState] = field(default_factory=list)

    def update(self, state: RunState) -> None:
        self.states.append(state)


def test_each_commits_seconds_are_told_once(tmp_path: Path) -> None:
    pool, noting = Slow(open_ledger(tmp_path), starts=[True]), Noting()
    driver = drive(pool, workers=1, shards_in_hand=1)
    driver.clock, driver.watchers = lambda: pool.now_s, [noting]
    driver.run()
    assert sum(len(state.commits_s) for state in noting.states) == len(SHARDS)


class AllAtOnce(ScriptedPool):
    def wait(self, timeout_s: float) -> list[Event]:
        assert self.events
        events, self.events = self.events, []
        return events


def test_a_worker_that_leaves_with_nothing_in_hand_gets_nothing_more(tmp_path: Path) -> None:
    pool = AllAtOnce(open_ledger(tmp_path), starts=[True, True])

    def leave_first(worker: str, lease: Lease) -> list[Event]:
        notice = [WorkerLeaving(worker)] if worker == "worker-0" else []
        return [*pool.finish(worker, lease), *notice]

    pool.script = leave_first
    drive(pool, workers=1, shards_in_hand=1).run()
    assert [worker for worker, _ in pool.submitted] == ["worker-0"] + ["worker-1"] * 3


class Silent(Slow):
    """Time passes where nothing happens; workers make no step."""

    def wait(self, timeout_s: float) -> list[Event]:
        self.now_s += 10.0
        assert self.now_s < 1000, "nothing moves"
        return [self.events.pop(0)] if self.events else []

    def steps(self) -> dict[str, int]:
        return dict.fromkeys(self.added, 1)


def test_shards_in_hand_are_given_up_when_the_time_is_over(tmp_path: Path) -> None:
    pool = Silent(open_ledger(tmp_path), starts=[True], script=lambda *_: [])
    stop_grace_s = lambda: 25.0 if pool.submitted else None  # noqa: E731
    driver = drive(pool, workers=1, shards_in_hand=1, stop_grace_s=stop_grace_s)
    driver.clock = lambda: pool.now_s
    driver.run()
    assert driver.queue.shards == SHARDS
    assert pool.now_s < 60


def test_a_worker_that_stands_still_while_it_leaves_holds_nothing_up(tmp_path: Path) -> None:
    pool = Silent(open_ledger(tmp_path), starts=[True, True])

    def leave_and_hang(worker: str, lease: Lease) -> list[Event]:
        return [WorkerLeaving(worker)] if worker == "worker-0" else pool.finish(worker, lease)

    pool.script = leave_and_hang
    driver = drive(pool, workers=1, shards_in_hand=1, stall_timeout_s=60)
    driver.clock = lambda: pool.now_s
    driver.run()
    assert pool.ledger.done_ids() == ALL


def test_of_a_range_all_come_up_while_something_waits(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 4)
    clock = drive(pool, workers={"min": 1, "max": 4}, shards_in_hand=1).run()
    assert len(clock.engines) == 4
