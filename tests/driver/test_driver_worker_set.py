"""Who takes the place of whom, on a clock that the test turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.config import Schedule
from batchfim.driver.worker_set import WorkerSet
from batchfim.engines.engine import EngineInfo
from batchfim.errors import EngineStartError, JobFailed
from batchfim.workers.pool import (
    WorkerReady,
)
from tests.driver.pools import ScriptedPool, open_ledger


class Hours:
    """Some workers, those that are up by default three, and hours to go."""

    def __init__(self, folder: Path, workers: int = 3, *, up: bool = True) -> None:
        self.now_s = 0.0
        self.pool = ScriptedPool(open_ledger(folder), starts=[True] * 99)
        schedule = Schedule(workers=workers, start_attempts=2)
        self.workers = WorkerSet(self.pool, schedule, lambda: self.now_s)
        for _ in range(workers):
            self.workers.add()
        for name in list(self.pool.added) if up else ():
            self.come_up(name)

    def come_up(self, worker: str) -> None:
        self.workers.mark_ready(WorkerReady(worker, EngineInfo("scripted", "1", "none"), 0.1))

    def lose_one_and_its_successors(self) -> None:
        self.workers.replace("worker-0", JobFailed("killed"))
        for worker in ("worker-3", "worker-4"):
            self.workers.replace(worker, EngineStartError("this node has no driver"))

    def add_missing(self, after_s: float) -> list[str]:
        """Those that it starts."""
        before = len(self.pool.added)
        self.now_s += after_s
        self.workers.add_missing(self.now_s)
        return self.pool.added[before:]

    def wait_too_long(self) -> str:
        """What ends the run, once there was no worker for the longest time it waits."""
        for _ in range(2):
            self.workers.stalled((), self.now_s)
            self.now_s += 1800.0
        with pytest.raises(JobFailed, match=r"no worker was up for 3600 s \(schedule\.no_") as told:
            self.workers.stalled((), self.now_s + 1.0)
        return str(told.value)


def test_where_starts_fail_one_is_tried_now_and_then(tmp_path: Path) -> None:
    hours = Hours(tmp_path)
    hours.lose_one_and_its_successors()
    assert (hours.workers.num_workers, hours.add_missing(after_s=30.0)) == (2, [])
    assert hours.add_missing(after_s=300.0) == ["worker-5"]
    hours.workers.replace("worker-5", EngineStartError("nor this one"))
    assert (hours.workers.num_workers, hours.add_missing(after_s=299.0)) == (2, [])
    assert hours.add_missing(after_s=1.0) == ["worker-6"]
    hours.come_up("worker-6")
    assert (hours.workers.num_workers, hours.add_missing(after_s=900.0)) == (3, [])


def test_losses_that_go_on_do_not_put_off_the_next_try(tmp_path: Path) -> None:
    hours = Hours(tmp_path)
    hours.lose_one_and_its_successors()
    assert hours.add_missing(after_s=200.0) == []
    hours.workers.replace("worker-1", JobFailed("killed"))
    assert hours.add_missing(after_s=100.0) == ["worker-5"]


def test_all_who_are_missing_come_back_once_a_start_works(tmp_path: Path) -> None:
    hours = Hours(tmp_path)
    hours.lose_one_and_its_successors()
    hours.workers.replace("worker-1", JobFailed("killed"))
    assert hours.workers.num_workers == 1
    (tried,) = hours.add_missing(after_s=300.0)
    assert hours.add_missing(after_s=30.0) == []
    hours.come_up(tried)
    assert len(hours.add_missing(after_s=30.0)) == 1
    assert hours.workers.num_workers == 3


def test_who_is_lost_with_a_good_start_behind_is_replaced_at_once(tmp_path: Path) -> None:
    hours = Hours(tmp_path)
    hours.workers.replace("worker-2", JobFailed("killed"))
    assert hours.pool.added[-1] == "worker-3"
    assert hours.add_missing(after_s=900.0) == []


def test_who_fails_before_any_came_up_is_made_up_for_by_the_first_that_does(tmp_path: Path) -> None:
    hours = Hours(tmp_path, up=False)
    hours.workers.replace("worker-0", EngineStartError("its port was taken"))
    assert hours.add_missing(after_s=9000.0) == []
    hours.come_up("worker-1")
    assert hours.add_missing(after_s=30.0) == ["worker-3"]


def test_no_more_start_at_once_than_are_up(tmp_path: Path) -> None:
    hours = Hours(tmp_path, workers=40, up=False)
    for number in range(39):
        hours.workers.replace(f"worker-{number}", EngineStartError("the disk was too slow for all"))
    hours.come_up("worker-39")
    for expected in (8, 9, 18, 4, 0):
        started = hours.add_missing(after_s=1.0)
        assert (len(started), hours.add_missing(after_s=1.0)) == (expected, [])
        for worker in started:
            hours.come_up(worker)


def test_the_starting_go_before_the_idle(tmp_path: Path) -> None:
    hours = Hours(tmp_path, workers=3, up=False)
    hours.workers._schedule = Schedule(workers={"min": 2, "max": 3})
    for worker in ("worker-0", "worker-1"):
        hours.come_up(worker)
    assert hours.workers.surplus(lambda _: False) == ["worker-2"]


def test_room_is_blamed_only_where_no_process_answered(tmp_path: Path) -> None:
    hours = Hours(tmp_path, workers=1, up=False)
    assert "the cluster has no room for one" in hours.wait_too_long()
    hours = Hours(tmp_path, workers=1, up=False)
    hours.pool.answers = {"worker-0": 0}
    assert "its engine is still starting" in hours.wait_too_long()


def test_what_the_first_start_failed_of_is_told_till_one_comes_up(tmp_path: Path) -> None:
    hours = Hours(tmp_path, workers=2, up=False)
    for worker, cause in (("worker-0", "its driver is too old"), ("worker-1", "it hung")):
        hours.workers.replace(worker, JobFailed(cause))
    assert hours.wait_too_long().endswith("the first start that failed: its driver is too old")
    hours.come_up("worker-2")
    hours.workers.stalled((), hours.now_s)
    hours.workers.replace("worker-2", JobFailed("its machine was taken away"))
    hours.workers.remove("worker-3")
    assert "the cluster has no room for one" in hours.wait_too_long()
