"""How many shards a worker has in hand."""

from __future__ import annotations

import math

import pytest

from batchfim.config import Schedule
from batchfim.driver.leasing import has_room

LARGE, SMALL, TINY = 2048, 64, 1


def fill(rows_each: int, *, num_begun: int = 0) -> int:
    """Shards in hand of an engine for 256, that has begun some of them."""
    in_hand = num_begun
    while room(rows_each, in_hand, num_begun=num_begun):
        in_hand += 1
    return in_hand


def room(
    rows_each: int, in_hand: int, *, num_begun: int = 0, num_waiting: float = math.inf
) -> bool:
    return has_room(
        Schedule(),
        512,
        num_shards=in_hand,
        rows_held=rows_each * in_hand,
        rows_ahead=[rows_each] * (in_hand - num_begun),
        num_waiting=num_waiting,
    )


@pytest.mark.parametrize(
    ("rows_each", "num_shards"),
    [(LARGE, 2), (SMALL, 4), (TINY, 256)],
    ids=["large", "small", "tiny"],
)
def test_shards_in_hand_fill_the_engine_and_are_two_at_least(
    rows_each: int, num_shards: int
) -> None:
    assert fill(rows_each) == num_shards


@pytest.mark.parametrize(
    ("rows_each", "num_begun", "num_shards"),
    [(LARGE, 16, 16), (SMALL, 31, 32), (TINY, 512, 768), (TINY, 1000, 1024)],
    ids=["sixteen large", "rows enough for small", "tiny", "most"],
)
def test_more_than_sixteen_are_held_only_if_all_have_few_rows(
    rows_each: int, num_begun: int, num_shards: int
) -> None:
    assert fill(rows_each, num_begun=num_begun) == num_shards


@pytest.mark.parametrize(
    ("rows_each", "num_shards"), [(LARGE, 3 + 1), (SMALL, 3 + 4)], ids=["large", "small"]
)
def test_what_is_begun_but_for_its_last_middles_does_not_count(
    rows_each: int, num_shards: int
) -> None:
    assert fill(rows_each, num_begun=3) == num_shards


def test_a_number_that_is_set_is_kept_to() -> None:
    schedule = Schedule(shards_in_hand=1)
    assert has_room(schedule, 512, num_shards=0, rows_held=0, rows_ahead=[], num_waiting=9)
    assert not has_room(schedule, 512, num_shards=1, rows_held=9, rows_ahead=[], num_waiting=9)


def test_near_the_end_no_worker_takes_more_than_its_share_of_small_shards() -> None:
    assert room(SMALL, 2, num_waiting=3)
    assert not room(SMALL, 3, num_waiting=2.5)
    assert room(SMALL, 9, num_begun=8, num_waiting=1.5)
    assert room(SMALL, 1, num_waiting=0.1)


def test_as_many_shards_ahead_as_wait_for_each_other_worker_are_enough() -> None:
    assert not room(SMALL, 2, num_waiting=2)


def test_tiny_shards_that_an_engine_has_begun_are_shared_too() -> None:
    assert room(TINY, 15, num_begun=15, num_waiting=1)
    assert room(TINY, 40, num_begun=40, num_waiting=41)
    assert not room(TINY, 40, num_begun=40, num_waiting=40)
