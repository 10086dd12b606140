"""The driver's loop: starts that fail, workers that are lost, late reports, stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.driver.queue import ShardQueue
from batchfim.errors import EngineStartError, JobFailed, StorageError
from batchfim.shards import Lease
from batchfim.workers.pool import (
    Event,
    FailureKind,
    ShardBegun,
    ShardEnded,
    ShardFailure,
    WorkerGone,
    WorkerLeaving,
)
from tests.driver.pools import RUN, SHARDS, ScriptedPool, drive, lose, open_ledger

ALL = {shard.id for shard in SHARDS}


def test_every_shard_is_committed_once(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])
    clock = drive(pool, workers=2).run()
    assert pool.ledger.done_ids() == pool.ledger.part_ids() == ALL
    assert (clock.shards, clock.records, clock.counts.rows) == (4, 40, 40)
    assert [start.worker for start in clock.engines] == pool.added == ["worker-0", "worker-1"]
    assert (clock.workers, clock.workers_lost) == (2, 0)


def test_no_more_workers_are_started_than_there_are_shards(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 9)
    assert drive(pool, workers=9).run().workers == len(pool.added) == 4


def test_shards_whose_prompts_the_engine_has_make_room_before_they_end(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    leased: list[Lease] = []

    def end_all_with_the_last(worker: str, lease: Lease) -> list[Event]:
        leased.append(lease)
        begun: list[Event] = [ShardBegun(worker, lease)]
        if len(leased) < len(SHARDS):
            return begun
        return begun + [event for one in leased for event in pool.finish(worker, one)]

    pool.script = end_all_with_the_last
    drive(pool, workers=1, in_flight_records=10).run()
    assert pool.ledger.done_ids() == ALL


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


def test_a_worker_lost_while_it_starts_is_replaced_also_at_first(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 3)
    pool.events.append(WorkerGone("worker-0", JobFailed("the worker was lost: killed")))
    clock = drive(pool, workers=1).run()
    assert pool.added == ["worker-0", "worker-1"]
    assert pool.ledger.done_ids() == ALL
    assert (clock.workers_lost, clock.records) == (0, 40)


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
    clock = drive(pool, workers=1, shards_in_hand=1, task_attempts=1).run()
    assert echoes
    assert (clock.workers_lost, pool.added) == (1, ["worker-0", "worker-1"])
    assert set(pool.ledger.shards()["worker"].to_pylist()) == {"worker-1"}
    assert [lease.failure for _, lease in pool.submitted] == [None] * 5
    assert clock.records == 40


def test_a_failure_that_took_the_engine_along_replaces_the_worker(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])

    def die_first(worker: str, lease: Lease) -> list[Event]:
        dead = ShardEnded(worker, lease, ShardFailure("the engine died", FailureKind.ENGINE))
        return [dead] if worker == "worker-0" else pool.finish(worker, lease)

    pool.script = die_first
    assert drive(pool, workers=1).run().workers_lost == 1
    assert pool.removed == ["worker-0"]
    assert pool.ledger.done_ids() == ALL


def test_a_record_that_kills_engines_is_found_by_halving_and_fails_alone(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 40)
    pool.ledger.add_to_plan(SHARDS)
    poisoned = 13

    def die_on_it(worker: str, lease: Lease) -> list[Event]:
        rows = range(lease.shard.start, lease.shard.start + lease.shard.num_rows)
        if poisoned in rows and lease.failure is None:
            return [ShardEnded(worker, lease, ShardFailure("CUDA error", FailureKind.ENGINE))]
        return pool.finish(worker, lease)

    pool.script = die_on_it
    clock = drive(pool, workers=1).run()
    assert clock.records == 40
    verdicts = [lease for _, lease in pool.submitted if lease.failure is not None]
    assert [(one.shard.start, one.shard.num_rows) for one in verdicts] == [(poisoned, 1)]
    assert verdicts[0].failure == "engine died on this record: CUDA error"
    assert clock.workers_lost <= 1 + 1 + 4 + 2  # with a neighbour, alone, log2(10) cuts, twice
    planned = pool.ledger.plan()
    assert sum(shard.num_rows for shard in planned) == 40
    assert {shard.id for shard in planned} == pool.ledger.done_ids()


def test_lost_nodes_are_no_reason_to_suspect_a_shard(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 9)
    gone: list[str] = []

    def lose_three_nodes(worker: str, lease: Lease) -> list[Event]:
        if len(gone) < 3 and worker not in gone:
            gone.append(worker)
            return [WorkerGone(worker, JobFailed("preempted"), node_lost=True)]
        return pool.finish(worker, lease)

    pool.script = lose_three_nodes
    clock = drive(pool, workers=1, shards_in_hand=1, setbacks=1).run()
    assert clock.workers_lost == 3
    assert pool.ledger.done_ids() == ALL


def test_a_worker_whose_node_leaves_ends_what_it_has_and_another_goes_on(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])

    def leave_first(worker: str, lease: Lease) -> list[Event]:
        notice = [WorkerLeaving(worker)] if len(pool.submitted) == 1 else []
        return [*notice, *pool.finish(worker, lease)]

    pool.script = leave_first
    clock = drive(pool, workers=1, shards_in_hand=2).run()
    assert [worker for worker, _ in pool.submitted] == ["worker-0"] * 2 + ["worker-1"] * 2
    assert [lease.attempt for _, lease in pool.submitted] == [1] * 4
    assert pool.removed == ["worker-0"]
    assert (clock.workers_lost, len(clock.engines)) == (0, 2)
    assert pool.ledger.done_ids() == ALL


def test_a_worker_that_goes_before_it_is_done_has_its_successor_already(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True])

    def go_with_its_node(worker: str, lease: Lease) -> list[Event]:
        if worker == "worker-1":
            return pool.finish(worker, lease)
        gone = WorkerGone(worker, JobFailed("preempted"), node_lost=True)
        return [WorkerLeaving(worker), gone] if len(pool.submitted) == 2 else []

    pool.script = go_with_its_node
    clock = drive(pool, workers=1, setbacks=1).run()
    assert pool.added == ["worker-0", "worker-1"]
    assert clock.workers_lost == 1
    assert pool.ledger.done_ids() == ALL


@pytest.mark.parametrize("kind", [FailureKind.ENGINE, FailureKind.TASK, FailureKind.STORAGE])
def test_a_job_in_which_nothing_succeeds_stops_with_the_first_cause(
    tmp_path: Path, kind: FailureKind
) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 99)
    causes = iter(range(99))

    def fail(worker: str, lease: Lease) -> list[Event]:
        return [ShardEnded(worker, lease, ShardFailure(f"cause {next(causes)}", kind))]

    pool.script = fail
    expected = StorageError if kind is FailureKind.STORAGE else JobFailed
    with pytest.raises(expected, match=r"after 4 failures with nothing completed .*: cause 0;"):
        drive(pool, workers=1, shards_in_hand=1, setbacks=4).run()
    assert len(pool.submitted) == 4
    assert pool.ledger.done_ids() == set()


def test_storage_that_fails_uses_up_no_attempt_of_a_shard(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    trouble = iter([True] * 5)

    def fail_five_times(worker: str, lease: Lease) -> list[Event]:
        if next(trouble, False):
            return [ShardEnded(worker, lease, ShardFailure("503", FailureKind.STORAGE))]
        return pool.finish(worker, lease)

    pool.script = fail_five_times
    drive(pool, workers=1, shards_in_hand=1, task_attempts=1).run()
    assert pool.ledger.done_ids() == ALL
    assert all(lease.failure is None for _, lease in pool.submitted)


def test_a_part_that_cannot_be_committed_ends_the_run_with_the_cause(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])

    def lose_the_staged_part(worker: str, lease: Lease) -> list[Event]:
        events = pool.finish(worker, lease)
        pool.ledger.staged(RUN, lease.shard.id, lease.attempt).delete()
        return events

    pool.script = lose_the_staged_part
    with pytest.raises(StorageError, match=r"staging.0000\w+-run-1\.parquet: No such file"):
        drive(pool, workers=1).run()
    assert pool.ledger.done_ids() == set()


def test_what_was_committed_before_a_failure_is_counted(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])

    def lose_the_third_part(worker: str, lease: Lease) -> list[Event]:
        events = pool.finish(worker, lease)
        if lease.shard == SHARDS[2]:
            pool.ledger.staged(RUN, lease.shard.id, lease.attempt).delete()
        return events

    pool.script = lose_the_third_part
    driver = drive(pool, workers=1, shards_in_hand=1)
    with pytest.raises(StorageError):
        driver.run()
    clock = driver.run_entry()
    assert (clock.shards, clock.records) == (len(pool.ledger.done_ids()), clock.counts.rows)
    assert clock.run_s == driver.run_entry().run_s


class Slow(ScriptedPool):
    """Ten seconds pass before each event, by a clock of its own."""

    now_s = 0.0

    def wait(self, timeout_s: float) -> list[Event]:
        self.now_s += 10.0
        return super().wait(timeout_s)


def test_workers_count_while_they_are_up_and_are_idle_with_nothing_in_hand(tmp_path: Path) -> None:
    pool = Slow(open_ledger(tmp_path), starts=[True, True])
    driver = drive(pool, workers=2, shards_in_hand=1)
    driver.clock = lambda: pool.now_s
    told = driver.run()
    assert [engine.ready_s for engine in told.engines] == [10.0, 20.0]
    assert (told.engine_start_s, told.run_s) == (10.0, 50.0)
    assert (told.worker_s, told.idle_s) == (50.0 + 40.0, 10.0)


def test_of_a_range_the_idle_ones_are_let_go_when_nothing_waits(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 4)
    clock = drive(pool, workers={"min": 1, "max": 4}, shards_in_hand=1).run()
    assert clock.shards == 4
    assert len(pool.added) == 4
    assert 0 < len(pool.removed) <= 3
    assert clock.workers_lost == 0


def test_of_a_plain_number_all_stay(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 4)
    drive(pool, workers=4, shards_in_hand=1).run()
    assert pool.removed == []


class AFewTurns(ScriptedPool):
    """Time passes where nothing happens; then the nodes of two workers are lost, and none comes."""

    turns = 0

    def add_worker(self, worker: str) -> None:
        if len(self.added) < 3:
            super().add_worker(worker)
        else:
            self.added.append(worker)

    def wait(self, timeout_s: float) -> list[Event]:
        self.turns += 1
        assert self.turns < 100, "nothing moves"
        if not self.events and self.turns < 50:
            self.turns = 50
            lost = JobFailed("their node is lost")
            gone = [WorkerGone(f"worker-{i}", lost, node_lost=True) for i in (1, 2)]
            return list[Event](gone)
        return [self.events.pop(0)] if self.events else []


def test_a_worker_whose_shard_another_finished_gets_another(tmp_path: Path) -> None:
    """It may hang in it, and then says nothing of it any more."""
    pool = AFewTurns(open_ledger(tmp_path), starts=[True] * 3)

    def script(worker: str, lease: Lease) -> list[Event]:
        hangs = worker == "worker-0" and lease.shard == SHARDS[0]
        waits = lease.shard == SHARDS[2] and worker != "worker-0"
        return [] if hangs or waits else pool.finish(worker, lease)

    pool.script = script
    driver = drive(pool, workers=3, shards_in_hand=1)
    driver.queue = ShardQueue(SHARDS[:3], task_attempts=1, node_losses=9, rerun=True)
    driver.clock = lambda: 60.0 * pool.turns
    driver.run()
    assert pool.submitted[-1][0] == "worker-0"
    assert pool.ledger.done_ids() == {shard.id for shard in SHARDS[:3]}
