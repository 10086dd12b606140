"""A storage that is gone is nobody's fault; one that fails a single worker is that worker's."""

from __future__ import annotations

from pathlib import Path

from batchfim.driver.trouble import StorageTrouble
from batchfim.shards import Lease
from batchfim.workers.pool import Blame, Event, ShardEnded, ShardFailure
from tests.driver.pools import ScriptedPool, drive, open_ledger
from tests.driver.test_driver_loop import ALL


def test_nobody_is_to_blame_while_nothing_is_completed() -> None:
    trouble = StorageTrouble()
    trouble.completed("v")
    assert not any(trouble.failed(worker) for worker in "vw" * 20)


def test_who_fails_four_times_in_a_row_while_others_do_well_is() -> None:
    trouble = StorageTrouble()
    failed = []
    for _ in range(4):
        failed.append(trouble.failed("w"))
        trouble.completed("v")
    assert failed == [False, False, False, True]
    trouble.forget("w")
    assert not trouble.failed("w")


def test_one_that_works_in_between_starts_afresh() -> None:
    trouble = StorageTrouble()
    for _ in range(9):
        assert not any(trouble.failed("w") for _ in range(3))
        trouble.completed("w")


def test_a_worker_that_alone_cannot_reach_the_storage_is_replaced_and_costs_no_shard(
    tmp_path: Path,
) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True] * 3)
    finished: list[Lease] = []
    held: list[Lease] = []

    def fail_the_first_worker(worker: str, lease: Lease) -> list[Event]:
        if worker == "worker-0":
            return [ShardEnded(worker, lease, ShardFailure("stale handle", Blame.STORAGE))]
        if finished and worker == "worker-1":  # at work on it till the other is replaced
            held.append(lease)
            return []
        finished.append(lease)
        others = [event for one in held for event in pool.finish("worker-1", one)]
        held.clear()
        return pool.finish(worker, lease) + others

    pool.script = fail_the_first_worker
    drive(pool, workers=2, shards_in_hand=1).run()
    assert pool.added == ["worker-0", "worker-1", "worker-2"]
    assert pool.ledger.done_ids() == ALL
