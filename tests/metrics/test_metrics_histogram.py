"""Percentiles from buckets, against the exact ones from the values."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.metrics.histogram import Histogram

SECONDS = st.floats(1e-6, 1e5)
VALUES = st.lists(SECONDS, min_size=1, max_size=200)
PERCENTS = st.integers(1, 100)


def nearest_rank(values: list[float], percent: int) -> float:
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


@settings(deadline=None)
@given(values=VALUES, percent=PERCENTS)
def test_percentiles_are_right_to_one_percent(values: list[float], percent: int) -> None:
    exact = nearest_rank(values, percent)
    assert Histogram.of(values).percentile(percent) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("percent", [50, 90, 99, 100])
def test_on_a_long_tail_too(percent: int) -> None:
    draw = random.Random(7)
    values = [draw.lognormvariate(-3, 2) for _ in range(20_000)]
    exact = nearest_rank(values, percent)
    assert Histogram.of(values).percentile(percent) == pytest.approx(exact, rel=0.01)


@settings(deadline=None)
@given(parts=st.lists(st.lists(SECONDS, max_size=30), max_size=6))
def test_a_sum_is_the_histogram_of_all(parts: list[list[float]]) -> None:
    everything = [value for part in parts for value in part]
    total, whole = Histogram.sum(map(Histogram.of, parts)), Histogram.of(everything)
    assert (total.buckets, total.count, total.max) == (whole.buckets, whole.count, whole.max)
    assert total.total == pytest.approx(math.fsum(everything))


def test_the_summary_names_mean_percentiles_and_exact_maximum() -> None:
    summary = Histogram.of([0.1, 0.2, 0.3, 7.77]).summary()
    assert list(summary) == ["mean", "p50", "p90", "p99", "max"]
    assert summary["mean"] == pytest.approx(8.37 / 4)
    assert summary["p50"] == pytest.approx(0.2, rel=0.01)
    assert summary["max"] == 7.77
    assert summary["p99"] == pytest.approx(7.77, rel=0.01)


def test_nothing_counted_is_null_and_not_zero() -> None:
    assert set(Histogram.of([]).summary().values()) == {None}
    assert Histogram.sum([]).percentile(50) is None


def test_no_percentile_is_above_the_maximum() -> None:
    assert Histogram.of([0.0, 0.0]).percentile(99) == 0.0
    assert Histogram.of([1.0001]).percentile(50) == pytest.approx(1.0001, rel=0.01)


@settings(deadline=None)
@given(values=VALUES)
def test_it_travels_as_json(values: list[float]) -> None:
    histogram = Histogram.of(values)
    assert Histogram.model_validate_json(histogram.model_dump_json()) == histogram
