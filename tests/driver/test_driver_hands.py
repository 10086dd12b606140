"""How many shards a worker has in hand."""

from __future__ import annotations

import pytest

from batchfim.config import Schedule
from batchfim.driver.hands import has_room

LARGE, SMALL = 2048, 64


@pytest.mark.parametrize(
    ("rows_each", "num_shards"), [(LARGE, 2), (SMALL, 8), (1, 16)], ids=["large", "small", "tiny"]
)
def test_shards_in_hand_fill_the_engine_and_are_two_at_least_and_sixteen_at_most(
    rows_each: int, num_shards: int
) -> None:
    in_hand = 0
    while has_room(
        Schedule(), 256, num_shards=in_hand, num_rows=in_hand * rows_each, num_waiting=99
    ):
        in_hand += 1
    assert in_hand == num_shards


def test_a_number_that_is_set_is_kept_to() -> None:
    schedule = Schedule(shards_in_hand=1)
    assert has_room(schedule, 256, num_shards=0, num_rows=0, num_waiting=9)
    assert not has_room(schedule, 256, num_shards=1, num_rows=1, num_waiting=9)


def test_near_the_end_no_worker_takes_more_than_its_share_of_small_shards() -> None:
    assert has_room(Schedule(), 256, num_shards=2, num_rows=128, num_waiting=3)
    assert not has_room(Schedule(), 256, num_shards=3, num_rows=192, num_waiting=2.5)
    assert has_room(Schedule(), 256, num_shards=1, num_rows=64, num_waiting=0.1)
