"""The driver's loop: starts that fail, workers that are lost, late reports, stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.errors import EngineStartError, JobFailed
from batchfim.shards import Lease
from batchfim.workers.pool import Event, ShardEnded, ShardFailure
from tests.driver.pools import SHARDS, ScriptedPool, drive, lose, open_ledger

ALL = {shard.id for shard in SHARDS}


def test_every_shard_is_committed_once(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])
    clock = drive(pool, workers=2).run()
    assert pool.ledger.done_ids() == pool.ledger.part_bytes().keys() == ALL
    assert (clock.shards, clock.records, clock.counts.rows) == (4, 40, 40)
    assert [start.worker for start in clock.engines] == pool.added == ["worker-0", "worker-1"]
    assert (clock.workers, clock.workers_lost) == (2, 0)


def test_no_more_workers_are_started_than_there_are_shards(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 9)
    assert drive(pool, workers=9).run().workers == len(pool.added) == 4


def test_a_replacement_that_fails_to_start_is_tried_again(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, False, False, True])
    lost: list[str] = []

    def lose_the_first(worker: str, lease: Lease) -> list[Event]:
        if worker != "worker-0":
            return pool.finish(worker, lease)
        lost.append(worker)
        return lose(worker, lease) if len(lost) == 1 else []

    pool.script = lose_the_first
    clock = drive(pool, workers=1, start_attempts=3).run()
    assert pool.added == ["worker-0", "worker-1", "worker-2", "worker-3"]
    assert pool.removed == ["worker-0", "worker-1", "worker-2"]
    assert [start.worker for start in clock.engines] == ["worker-0", "worker-3"]
    assert clock.workers_lost == 1  # one that never came up is none
    assert pool.ledger.done_ids() == ALL


def test_after_so_many_starts_in_a_row_the_job_has_failed(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, *[False] * 9], script=lose)
    with pytest.raises(JobFailed, match="all workers are lost: worker-3 has no memory"):
        drive(pool, workers=1, shards_in_hand=1, start_attempts=3).run()
    assert len(pool.added) == 1 + 3


def test_while_another_worker_is_left_the_job_goes_on(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True, *[False] * 9])

    def lose_the_first(worker: str, lease: Lease) -> list[Event]:
        return (lose if worker == "worker-0" else pool.finish)(worker, lease)

    pool.script = lose_the_first
    drive(pool, workers=2, shards_in_hand=1, start_attempts=2).run()
    assert pool.added == [f"worker-{number}" for number in range(4)]
    assert pool.ledger.done_ids() == ALL


def test_a_start_that_works_makes_up_for_those_before_it(tmp_path: Path) -> None:
    starts = [True, False, True, False, True]
    pool = ScriptedPool(open_ledger(tmp_path), starts)

    def lose_all_but_the_last(worker: str, lease: Lease) -> list[Event]:
        return (pool.finish if worker == "worker-4" else lose)(worker, lease)

    pool.script = lose_all_but_the_last
    drive(pool, workers=1, shards_in_hand=1, start_attempts=2).run()
    assert pool.ledger.done_ids() == ALL


def test_if_none_ever_came_up_the_first_says_why(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[False] * 9)
    with pytest.raises(EngineStartError, match="worker-0 has no memory"):
        drive(pool, workers=3, start_attempts=3).run()
    assert len(pool.added) == 3  # a second try would say the same


def test_an_echo_of_a_replaced_worker_is_ignored(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])
    echoes: list[Event] = []

    def lose_and_report_late(worker: str, lease: Lease) -> list[Event]:
        if worker == "worker-0":
            late = ShardEnded(worker, lease, ShardFailure("late"))
            echoes.extend([*pool.finish(worker, lease), late, *lose(worker, lease)])
            return [*lose(worker, lease), *echoes]
        return pool.finish(worker, lease)

    pool.script = lose_and_report_late
    clock = drive(pool, workers=1, shards_in_hand=1, task_attempts=1, worker_losses=1).run()
    assert echoes
    assert (clock.workers_lost, pool.added) == (1, ["worker-0", "worker-1"])
    assert {report.worker for report in pool.ledger.reports()} == {"worker-1"}
    assert [lease.verdict for _, lease in pool.submitted] == [None] * 5
    assert clock.records == 40


def test_a_failure_that_took_the_engine_along_replaces_the_worker(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])

    def die_first(worker: str, lease: Lease) -> list[Event]:
        dead = ShardEnded(worker, lease, ShardFailure("the engine died", worker_lost=True))
        return [dead] if worker == "worker-0" else pool.finish(worker, lease)

    pool.script = die_first
    assert drive(pool, workers=1).run().workers_lost == 1
    assert pool.removed == ["worker-0"]
    assert pool.ledger.done_ids() == ALL
