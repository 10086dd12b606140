"""How many shards a worker has in hand."""

from __future__ import annotations

import math

import pytest

from batchfim.config import Schedule
from batchfim.driver.leasing import has_room

LARGE, SMALL = 2048, 64


def fill(rows_each: int, *, num_begun: int = 0) -> int:
    """Shards in hand of an engine for 256, that has begun some of them."""
    in_hand = num_begun
    while has_room(
        Schedule(),
        256,
        num_shards=in_hand,
        rows_ahead=[rows_each] * (in_hand - num_begun),
        num_waiting=math.inf,
    ):
        in_hand += 1
    return in_hand


@pytest.mark.parametrize(
    ("rows_each", "num_shards"), [(LARGE, 2), (SMALL, 4), (1, 16)], ids=["large", "small", "tiny"]
)
def test_shards_in_hand_fill_the_engine_and_are_two_at_least_and_sixteen_at_most(
    rows_each: int, num_shards: int
) -> None:
    assert fill(rows_each) == num_shards


@pytest.mark.parametrize(
    ("rows_each", "num_shards"), [(LARGE, 3 + 1), (SMALL, 3 + 4)], ids=["large", "small"]
)
def test_what_is_begun_but_for_its_last_middles_does_not_count(
    rows_each: int, num_shards: int
) -> None:
    assert fill(rows_each, num_begun=3) == num_shards


def test_a_number_that_is_set_is_kept_to() -> None:
    schedule = Schedule(shards_in_hand=1)
    assert has_room(schedule, 256, num_shards=0, rows_ahead=[], num_waiting=9)
    assert not has_room(schedule, 256, num_shards=1, rows_ahead=[], num_waiting=9)


def test_near_the_end_no_worker_takes_more_than_its_share_of_small_shards() -> None:
    assert has_room(Schedule(), 256, num_shards=2, rows_ahead=[64] * 2, num_waiting=3)
    assert not has_room(Schedule(), 256, num_shards=3, rows_ahead=[64] * 3, num_waiting=2.5)
    assert has_room(Schedule(), 256, num_shards=9, rows_ahead=[64], num_waiting=1.5)  # 8 are begun
    assert has_room(Schedule(), 256, num_shards=1, rows_ahead=[64], num_waiting=0.1)


def test_as_many_shards_ahead_as_wait_for_each_other_worker_are_enough() -> None:
    assert not has_room(Schedule(), 256, num_shards=2, rows_ahead=[64] * 2, num_waiting=2)
