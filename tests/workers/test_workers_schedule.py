"""A record's prompt, seed and row do not depend on when, where or how often it is worked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchfim.errors import EngineStartError
from batchfim.workers.completing import record_seed
from batchfim.workers.local import LocalPool
from batchfim.workers.pool import ShardEnded, WorkerGone, WorkerSpec

OpenDesk = Callable[..., Any]
SAMPLING = ("sampling.temperature=1", "sampling.n=3")


def middles(rows: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(row["id"], row["sample"], row["middle"]) for row in rows]


def test_samples_follow_their_row_and_differ(open_desk: OpenDesk) -> None:
    desk = open_desk(*SAMPLING)
    rows = desk.rows(desk.lease())
    assert [(row["id"], row["sample"]) for row in rows] == [
        (f"r{i}", sample) for i in range(8) for sample in range(3)
    ]
    assert len({row["middle"] for row in rows}) > 8


def test_attempts_and_shard_borders_change_no_middle(open_desk: OpenDesk) -> None:
    desk = open_desk(*SAMPLING)
    whole = middles(desk.rows(desk.lease()))
    again = middles(desk.rows(desk.lease(attempt=7)))
    pieces = [desk.rows(desk.lease(start, num)) for start, num in ((5, 3), (0, 1), (1, 4))]
    assert again == whole
    assert sorted(row for piece in pieces for row in middles(piece)) == sorted(whole)


def test_in_flight_bounds_change_no_middle(open_desk: OpenDesk) -> None:
    wide = open_desk(*SAMPLING)
    narrow = open_desk(*SAMPLING, "schedule.in_flight_records=1", "schedule.in_flight_tokens=1")
    assert middles(wide.rows(wide.lease())) == middles(narrow.rows(narrow.lease()))


def test_another_job_seed_changes_middles_and_greedy_has_none(open_desk: OpenDesk) -> None:
    one, other = open_desk(*SAMPLING), open_desk(*SAMPLING, "sampling.seed=1")
    assert middles(one.rows(one.lease())) != middles(other.rows(other.lease()))
    greedy, same = open_desk(), open_desk("sampling.seed=1")
    assert middles(greedy.rows(greedy.lease())) == middles(same.rows(same.lease()))


def test_a_seed_is_the_same_in_every_version() -> None:
    """blake2b of "0 file 7", four bytes: a changed seed would change resumed jobs half-way."""
    assert record_seed(0, "file", 7) == 0xD036F821
    seeds = {record_seed(job, file, row) for job in (0, 1) for file in "ab" for row in range(500)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 1 << 32 for seed in seeds)


def test_several_shards_at_once_are_told_apart(open_desk: OpenDesk) -> None:
    desk = open_desk()
    leases = [desk.lease(start, 2) for start in (6, 0, 4, 2)]
    for lease in leases:
        desk.pool.submit("w", lease)
    ended: list[ShardEnded] = []
    while len(ended) < 4:
        events = desk.pool.wait(60.0)
        assert events
        ended += [event for event in events if isinstance(event, ShardEnded)]
    for event in ended:
        assert event.outcome.shard_id == event.lease.shard.id
        assert event.outcome.records == 2
    assert sorted(event.lease.shard.start for event in ended) == [0, 2, 4, 6]


def test_an_engine_that_does_not_start_says_so(make_spec: Callable[..., WorkerSpec]) -> None:
    pool = LocalPool(make_spec("engine.simulated.fail_start=true"))
    pool.add_worker("w")
    (event,) = pool.wait(60.0)
    pool.close()
    assert isinstance(event, WorkerGone)
    assert isinstance(event.error, EngineStartError)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_removed_worker_is_heard_of_no_more(open_desk: OpenDesk, when: str) -> None:
    desk = open_desk()
    if when == "before":
        desk.pool.submit("w", desk.lease())
    desk.pool.remove_worker("w")
    assert desk.pool.wait(0.05) == []
