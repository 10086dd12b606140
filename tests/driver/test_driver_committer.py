"""Commits beside the driver: each is told of once, and what fails is raised and holds nobody up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchfim.driver.committer import Committer
from batchfim.driver.queue import ShardQueue
from batchfim.errors import StorageError
from batchfim.metrics.shard_report import ShardReport
from batchfim.shards import Shard
from batchfim.workers.pool import Event
from tests.driver.pools import ScriptedPool, drive, open_ledger
from tests.storage.made_jobs import report, stage

SHARDS = [Shard(f"{i:020x}", "file", "content", "/a.parquet", i, 1) for i in range(40)]
IDS = [shard.id for shard in SHARDS]


def told(committer: Committer, num_shards: int) -> list[str]:
    shards: list[str] = []
    while len(shards) < num_shards:
        shards += [one.report.shard_id for one in committer.committed()]
        time.sleep(0.001)
    return shards


def test_each_commit_is_told_of_once(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    committer = Committer(ledger.commit, lambda: True)
    for shard in SHARDS:
        stage(ledger, shard)
        committer.submit(report(shard))
    shards = told(committer, len(SHARDS) - 5)
    shards += [one.report.shard_id for one in committer.close()]
    assert Counter(shards) == Counter(IDS)
    assert ledger.done_ids() == set(IDS)


def test_one_that_fails_is_raised_and_those_after_it_are_made(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    committer = Committer(ledger.commit, lambda: True)
    for shard in SHARDS[1:]:
        stage(ledger, shard)
    committer.submit(report(SHARDS[0]))
    with pytest.raises(StorageError, match="No such file"):
        told(committer, 1)
    for shard in SHARDS[1:]:
        committer.submit(report(shard))
    assert sorted(one.report.shard_id for one in committer.close()) == IDS[1:]
    assert ledger.done_ids() == set(IDS[1:])


def test_when_all_fail_the_end_is_not_held_up(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    committer = Committer(ledger.commit, lambda: True)
    for shard in SHARDS:
        committer.submit(report(shard))
    with pytest.raises(StorageError, match="No such file"):
        committer.close()
    assert not ledger.done_ids()


def test_what_waits_when_the_job_is_lost_is_not_committed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    allowed = iter([True] * 3)
    committer = Committer(ledger.commit, lambda: next(allowed, False))
    for shard in SHARDS:
        stage(ledger, shard)
        committer.submit(report(shard))
    assert len(committer.close()) == 3
    assert len(ledger.done_ids()) == len(ledger.part_ids()) == 3


def test_what_storage_is_too_slow_for_at_a_stop_is_left_to_the_next_run(tmp_path: Path) -> None:
    ledger, released = open_ledger(tmp_path), threading.Event()

    def commit_late(one: ShardReport) -> None:
        released.wait()
        ledger.commit(one)

    committer = Committer(commit_late, lambda: True)
    for shard in SHARDS:
        stage(ledger, shard)
        committer.submit(report(shard))
    while committer.num_waiting > 8:
        time.sleep(0.001)
    with ThreadPoolExecutor(1) as thread:
        closing = thread.submit(committer.close, 0.0)
        while committer.num_waiting == 8:
            time.sleep(0.001)
        released.set()
        assert len(closing.result()) == len(ledger.done_ids()) == len(SHARDS) - 8


def test_no_shard_is_leased_while_too_many_wait_for_their_commit(tmp_path: Path) -> None:
    pool, released, submitted = (
        ScriptedPool(open_ledger(tmp_path), starts=[True]),
        threading.Event(),
        [],
    )
    shards = [Shard(f"{i:020x}", "file", "content", "/a.parquet", i, 1) for i in range(200)]
    wait = pool.wait

    def release_once_nothing_happens(timeout_s: float) -> list[Event]:
        if pool.events:
            return wait(timeout_s)
        submitted.append(len(pool.submitted))
        released.set()
        return []

    def commit_late(one: ShardReport) -> None:
        released.wait()
        pool.ledger.commit(one)

    pool.wait = release_once_nothing_happens  # type: ignore[method-assign]
    driver = drive(pool, workers=1, shards_in_hand=1)
    driver.queue, driver.commit = ShardQueue(shards, 1, 0), commit_late
    driver.run()
    assert 64 < submitted[0] < 128
    assert len(pool.ledger.done_ids()) == 200
