"""A storage that is gone is nobody's fault; one that fails a single worker is that worker's."""

from __future__ import annotations

from pathlib import Path

from batchfim.driver.queue import ShardQueue
from batchfim.driver.trouble import StorageTrouble
from batchfim.shards import Lease, Shard
from batchfim.workers.pool import Event, FailureKind, ShardEnded, ShardFailure
from tests.driver.pools import SHARDS, ScriptedPool, drive, open_ledger


def fail(trouble: StorageTrouble, worker: str, shards: str) -> list[bool]:
    failed = []
    for shard in shards:
        trouble.leased(worker, shard)
        failed.append(trouble.failed(worker, shard))
    return failed


def complete(trouble: StorageTrouble, worker: str, shard: str) -> None:
    trouble.leased(worker, shard)
    trouble.completed(worker, shard)


def test_nobody_is_to_blame_while_nothing_is_completed() -> None:
    trouble = StorageTrouble()
    complete(trouble, "v", "a")
    assert not any(fail(trouble, "v", "bcdefgh") + fail(trouble, "w", "bcdefgh"))


def test_what_was_read_before_the_trouble_began_tells_nothing() -> None:
    trouble = StorageTrouble()
    trouble.leased("v", "a")
    assert not any(fail(trouble, "w", "bcd"))
    trouble.completed("v", "a")
    assert not any(fail(trouble, "w", "efgh"))
    complete(trouble, "v", "i")
    assert fail(trouble, "w", "j") == [True]


def test_one_shard_that_fails_again_and_again_is_not_the_workers_fault() -> None:
    trouble = StorageTrouble()
    assert not any(fail(trouble, "w", "a"))
    complete(trouble, "v", "b")
    assert not any(fail(trouble, "w", "aaaaaa"))


def test_one_that_works_in_between_starts_afresh_and_so_does_a_new_one() -> None:
    trouble = StorageTrouble()
    for shards in ("abc", "def", "ghi"):
        assert not any(fail(trouble, "w", shards))
        complete(trouble, "v", "x")
        complete(trouble, "w", "y")
    fail(trouble, "w", "abc")
    complete(trouble, "v", "x")
    trouble.forget("w")
    assert fail(trouble, "w", "e") == [False]


def test_a_worker_that_alone_cannot_reach_the_storage_is_replaced_and_costs_no_shard(
    tmp_path: Path,
) -> None:
    shards = [Shard(f"{i:020x}", "file", "content", "/a.parquet", 10 * i, 10) for i in range(20)]
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 3)

    def fail_the_first_worker(worker: str, lease: Lease) -> list[Event]:
        if worker == "worker-0":
            return [ShardEnded(worker, lease, ShardFailure("stale handle", FailureKind.STORAGE))]
        return pool.finish(worker, lease)

    pool.script = fail_the_first_worker
    driver = drive(pool, workers=2, shards_in_hand=1)
    driver.queue = ShardQueue(shards, task_attempts=1, node_losses=0)
    driver.run()
    assert pool.added == ["worker-0", "worker-1", "worker-2"]
    assert pool.ledger.done_ids() == {shard.id for shard in shards}
    assert [worker for worker, _ in pool.submitted].count("worker-0") == 4


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


def test_what_was_given_last_before_the_trouble_began_tells_nothing() -> None:
    trouble = StorageTrouble()
    trouble.leased("w", "a")
    trouble.leased("v", "b")
    assert not trouble.failed("w", "a")
    trouble.completed("v", "b")
    assert not any(fail(trouble, "w", "cdefg"))
