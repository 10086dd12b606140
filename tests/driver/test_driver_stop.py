"""A run that is told to stop, or that has lost its lease, leaves nothing half done."""

from __future__ import annotations

from pathlib import Path

from tests.driver.pools import SHARDS, ScriptedPool, drive, lose, open_ledger


def test_a_run_that_may_not_commit_commits_nothing(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    driver = drive(
        pool,
        workers=1,
        shards_in_hand=2,
        stop_grace_s=lambda: 0.0 if len(pool.submitted) == 2 and not pool.events else None,
        may_commit=lambda: False,
    )
    clock = driver.run()
    assert len(pool.submitted) == 2  # and both were reported
    assert (clock.shards, clock.records) == (0, 0)
    assert pool.ledger.done_ids() == set()
    assert pool.ledger.part_ids() == set()
    assert len((pool.ledger.root / "staging").list()) == 2


def test_on_a_stop_the_leases_are_given_back(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True], script=lambda *_: [])
    stop_grace_s = lambda: 0.0 if len(pool.submitted) == 2 else None  # noqa: E731
    driver = drive(pool, workers=2, shards_in_hand=2, stop_grace_s=stop_grace_s)
    driver.run()
    assert len(pool.submitted) == 2
    assert (driver.queue.num_leased, driver.queue.num_waiting) == (0, 4)
    assert [driver.queue.num_held(worker) for worker in pool.added] == [0, 0]
    assert driver.queue.shards == SHARDS
    again = driver.queue.lease("another")
    assert again is not None
    assert (again.shard, again.failure) == (SHARDS[0], None)


def test_what_was_committed_before_the_stop_stays(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    driver = drive(
        pool,
        workers=1,
        shards_in_hand=1,
        stop_grace_s=lambda: 0.0 if len(pool.submitted) == 2 and not pool.events else None,
    )
    clock = driver.run()
    assert pool.ledger.done_ids() == {shard.id for shard in SHARDS[:2]}
    assert clock.records == 20
    assert not driver.queue.finished
    assert driver.queue.shards == SHARDS[2:]


def test_shards_in_hand_are_finished_where_there_is_time(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True])
    stop_grace_s = lambda: 60.0 if pool.submitted else None  # noqa: E731
    driver = drive(pool, workers=1, shards_in_hand=2, stop_grace_s=stop_grace_s)
    clock = driver.run()
    assert len(pool.submitted) == 2
    assert clock.records == 20
    assert driver.queue.shards == SHARDS[2:]


def test_who_is_lost_while_a_run_ends_is_not_replaced(tmp_path: Path) -> None:
    pool = ScriptedPool(open_ledger(tmp_path), starts=[True, True], script=lose)
    stop_grace_s = lambda: 60.0 if pool.submitted else None  # noqa: E731
    driver = drive(pool, workers=1, shards_in_hand=1, stop_grace_s=stop_grace_s)
    driver.run()
    assert pool.added == ["worker-0"]
    assert (driver.queue.num_leased, driver.queue.shards) == (0, SHARDS)
