"""Intervals hold what they should, as often as they say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.forecast.estimate import Estimate, ratio, total


@pytest.mark.parametrize("num", [2, 4, 30])
def test_an_interval_holds_the_truth_19_times_of_20(num: int) -> None:
    draw = random.Random(1)
    blocks = [(draw.randint(50, 100), draw.gauss(500, 80)) for _ in range(2000)]
    rows, amounts = [size for size, _ in blocks], [size * mean for size, mean in blocks]
    truth = sum(amounts) / sum(rows)
    held = 0
    for _ in range(1000):
        drawn = draw.sample(range(2000), num)
        found = ratio([amounts[i] for i in drawn], [float(rows[i]) for i in drawn], num / 2000)
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 1000 <= 0.99


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(1, 1e3)), min_size=1, max_size=20))
def test_of_all_rows_nothing_is_left_open(blocks: list[tuple[float, float]]) -> None:
    amounts, sizes = [a for a, _ in blocks], [s for _, s in blocks]
    found = ratio(amounts, sizes, sampled=1.0)
    assert found.low == found.high == pytest.approx(sum(amounts) / sum(sizes))


def test_one_block_of_many_says_little_and_no_block_says_nothing() -> None:
    assert ratio([10.0], [5.0], 0.01).error == 1.0
    assert ratio([], [], 0.0) == Estimate(0.0)


def test_what_errs_alone_adds_less_than_what_errs_together() -> None:
    one = Estimate(10.0, 0.3)
    assert one.times(Estimate(2.0, 0.4)) == Estimate(20.0, pytest.approx(0.5))
    assert total([one, one]) == Estimate(20.0, pytest.approx(0.3))
    assert total([one, Estimate(30.0)]).error == pytest.approx(0.075)
