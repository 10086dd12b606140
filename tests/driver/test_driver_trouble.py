"""An outage or a bad shard is nobody's fault; what fails on a single worker is that worker's."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.driver.queue import ShardQueue
from batchfim.driver.trouble import WorkerTrouble
from batchfim.metrics.shard_report import Counts
from batchfim.shards import Lease, Shard
from batchfim.workers.pool import Event, FailureKind, ShardEnded, ShardFailure
from tests.driver.pools import SHARDS, ScriptedPool, drive, open_ledger


def fail(trouble: WorkerTrouble, worker: str, shards: str, **more: bool) -> list[bool]:
    """Lease these shards to a worker, which fails each; whether it is to blame."""
    blamed = []
    for shard in shards:
        trouble.leased(worker, shard)
        blamed.append(trouble.failed(worker, shard, 0.0, **more))
    return blamed


def complete(trouble: WorkerTrouble, worker: str, shards: str) -> None:
    for shard in shards:
        trouble.leased(worker, shard)
        trouble.completed(worker, shard)


def test_nobody_is_to_blame_while_nothing_is_completed() -> None:
    trouble = WorkerTrouble()
    complete(trouble, "v", "a")
    assert not any(fail(trouble, "v", "bcdefgh") + fail(trouble, "w", "bcdefgh"))


def test_who_fails_again_what_another_completed_is_to_blame() -> None:
    trouble = WorkerTrouble()
    assert not any(fail(trouble, "w", "abcd"))
    complete(trouble, "v", "xyz")
    assert not any(fail(trouble, "w", "e"))  # perhaps all of its shards are bad
    complete(trouble, "v", "d")
    assert fail(trouble, "w", "f") == [True]


def test_an_outage_that_is_over_is_nobodys_fault() -> None:
    trouble = WorkerTrouble()
    assert not any(fail(trouble, "v", "abcd") + fail(trouble, "w", "efgh"))
    complete(trouble, "v", "efgh")
    complete(trouble, "w", "i")
    assert not any(fail(trouble, "w", "jkl"))


def test_few_failures_prove_nothing() -> None:
    trouble = WorkerTrouble()
    assert not any(fail(trouble, "w", "aaaaaa"))
    complete(trouble, "v", "a")
    assert not any(fail(trouble, "w", "bb"))
    assert fail(trouble, "w", "cd") == [False, True]


def test_one_that_works_in_between_starts_afresh_and_so_does_a_new_one() -> None:
    trouble = WorkerTrouble()
    fail(trouble, "w", "abcd")
    complete(trouble, "v", "d")
    complete(trouble, "w", "y")
    assert fail(trouble, "w", "efgh") == [False] * 4
    complete(trouble, "v", "e")
    trouble.forget("w")
    assert fail(trouble, "w", "i") == [False]


def test_rows_that_all_fail_are_held_against_who_alone_has_them() -> None:
    trouble = WorkerTrouble()
    trouble.leased("v", "before")
    assert not any(fail(trouble, "w", "abcde", is_done=True))
    trouble.completed("v", "before")
    assert fail(trouble, "w", "f", is_done=True) == [False]
    complete(trouble, "v", "x")
    assert fail(trouble, "w", "g", is_done=True) == [True]


def test_in_doubt_it_waits_till_another_has_completed_something_leased_later() -> None:
    trouble = WorkerTrouble()
    trouble.leased("v", "before")
    fail(trouble, "w", "abc")
    assert (trouble.in_doubt(), trouble.waiting(0.0)) == (set(), set())
    fail(trouble, "w", "d")
    assert (trouble.in_doubt(), trouble.waiting(29.0)) == ({"w"}, {"w"})
    assert trouble.waiting(30.0) == set()  # or the last of all would wait for ever
    trouble.completed("v", "before")
    assert trouble.waiting(1.0) == {"w"}
    complete(trouble, "v", "x")
    assert (trouble.in_doubt(), trouble.waiting(1.0)) == ({"w"}, set())


def test_another_opinion_is_asked_for_once() -> None:
    trouble = WorkerTrouble()
    asked = []
    for shard in "abcdef":
        fail(trouble, "w", shard)
        asked.append(trouble.wants_another_opinion("w"))
    assert asked == [False, False, False, True, False, False]


@pytest.mark.parametrize("kind", ["storage", "task", "input", "rows"])
def test_a_worker_on_a_bad_machine_is_replaced_and_costs_no_shard(
    kind: str, tmp_path: Path
) -> None:
    """It fails at once, and would take all while the other is at its first."""
    shards = [Shard(f"{i:020x}", "file", "content", "/a.parquet", 10 * i, 10) for i in range(40)]
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 3)
    slow: list[Event] = []

    def script(worker: str, lease: Lease) -> list[Event]:
        (ended,) = pool.finish(worker, lease)
        assert isinstance(ended, ShardEnded)
        if worker != "worker-0":
            slow.append(ended)
            return []
        if kind != "rows":
            failure = ShardFailure("too few threads", FailureKind(kind))
            return [ShardEnded(worker, lease, failure)]
        failed = ended.outcome.model_copy(update={"counts": Counts(rows=10, failed=10)})
        return [ShardEnded(worker, lease, failed)]

    wait = pool.wait

    def others_take_longer(timeout_s: float) -> list[Event]:
        if not pool.events:
            pool.events.append(slow.pop(0))
        return wait(timeout_s)

    pool.script, pool.wait = script, others_take_longer  # type: ignore[method-assign]
    driver = drive(pool, workers=2, shards_in_hand=1, task_attempts=2, setbacks=3)
    driver.queue = ShardQueue(shards, task_attempts=2, node_losses=0)
    driver.run()
    assert pool.added == ["worker-0", "worker-1", "worker-2"]
    assert pool.ledger.done_ids() == {shard.id for shard in shards}
    assert all(lease.failure is None for _, lease in pool.submitted)
    assert [worker for worker, _ in pool.submitted].count("worker-0") <= 8


def test_one_shard_that_nobody_can_read_costs_no_other_and_no_worker(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 2)
    held: list[Event] = []
    failed: list[str] = []

    def fail_the_first_shard(worker: str, lease: Lease) -> list[Event]:
        if lease.shard == SHARDS[0]:
            failed.append(worker)
            others = held if len(failed) == 2 else []
            return [ShardEnded(worker, lease, ShardFailure("denied", FailureKind.STORAGE)), *others]
        if worker == "worker-1":  # at work till the other has failed twice
            held.extend(pool.finish(worker, lease))
            return []
        return pool.finish(worker, lease)

    pool.script = fail_the_first_shard
    driver = drive(pool, workers=2, shards_in_hand=1)
    driver.run()
    assert pool.added == ["worker-0", "worker-1"]
    assert driver.queue.abandoned == {SHARDS[0].id: "denied"}
    assert failed[:2] == ["worker-0"] * 2
    assert len(failed) == 8
    assert pool.ledger.done_ids() == {shard.id for shard in SHARDS[1:]}
