"""Means and intervals over rows that come in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from batchfim.quality.bootstrap import OTHERS, Floats, Means


def means_of(scores: Floats, samples: int = 1, seed: int = 0, piece: int = 50) -> Means:
    means = Means(["a"], 1000, seed)
    for start in range(0, len(scores), piece):
        part = scores[start : start + piece]
        clusters = [str((start + row) // samples) for row in range(len(part))]
        means.add(part[:, None], clusters, {"g": ["all"] * len(part)})
    return means


def test_mean_and_interval_are_those_of_the_whole() -> None:
    scores = np.random.default_rng(1).normal(0.4, 0.1, 2000)
    found = means_of(scores).overall()
    standard_error = scores.std() / np.sqrt(len(scores))
    assert found["rows"] == found["a"]["rows"] == 2000
    assert found["a"]["value"] == pytest.approx(scores.mean(), abs=1e-6)
    assert found["a"]["value"] - found["a"]["low"] == pytest.approx(1.96 * standard_error, rel=0.15)
    assert found["a"]["high"] - found["a"]["value"] == pytest.approx(
        1.96 * standard_error, rel=0.15
    )


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    scores = np.random.default_rng(1).random(200)
    first, again, other = (means_of(scores, seed=seed).overall() for seed in (0, 0, 1))
    assert first == again
    assert first["a"]["value"] == other["a"]["value"]
    assert first["a"]["low"] != other["a"]["low"]


def test_equal_samples_of_a_record_do_not_make_the_interval_narrower() -> None:
    scores = np.random.default_rng(1).random(200)
    alone, four_times = means_of(scores).overall(), means_of(np.repeat(scores, 4), 4, piece=50)
    width = alone["a"]["high"] - alone["a"]["low"]
    repeated = four_times.overall()["a"]
    assert repeated["high"] - repeated["low"] == pytest.approx(width, rel=0.15)


def test_a_cluster_is_drawn_together_wherever_its_rows_come() -> None:
    means, scores = Means(["a"], 1000, 0), np.random.default_rng(1).random(200)
    for _ in range(4):  # as the holes of 200 files, a hole of each at a time
        means.add(scores[:, None], [f"file {number}" for number in range(200)], {})
    alone, found = means_of(scores).overall()["a"], means.overall()["a"]
    assert found["high"] - found["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.15)


@pytest.mark.parametrize(("samples", "independent"), [(1, 164), (4, 41)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_are_alike_the_bound_of_a_share_is_told(
    value: float, samples: int, independent: int
) -> None:
    found = means_of(np.full(164, value), samples).overall()["a"]
    bound = 1 - 0.025 ** (1 / independent)
    assert found["value"] == value
    assert abs(found["low" if value else "high"] - value) == pytest.approx(bound, rel=0.15)
    assert found["high" if value else "low"] == value


@pytest.mark.parametrize(
    ("scores", "samples"),
    [([0.0, 1.0, 1.0, 0.5], 4), ([0.25, 0.75, 0.5, 0.5], 2)],
    ids=["one cluster", "clusters of equal means"],
)
def test_where_no_resample_differs_the_mean_is_not_certain(
    scores: list[float], samples: int
) -> None:
    found = means_of(np.array(scores), samples).overall()["a"]
    assert 0 < found["low"] < found["value"] - 0.2
    assert found["value"] + 0.2 < found["high"] < 1


def test_what_was_not_measured_does_not_count() -> None:
    found = means_of(np.array([1.0, np.nan, 0.0, np.nan])).overall()
    assert (found["rows"], found["a"]["rows"], found["a"]["value"]) == (4, 2, 0.5)
    assert means_of(np.array([np.nan])).overall() == {"rows": 1}


def test_groups_have_their_own_means() -> None:
    means = Means(["a"], 100, 0)
    means.add(np.array([[1.0], [0.0], [0.5]]), ["0", "1", "2"], {"g": ["x", "y", None]})
    groups = means.groups("g")
    assert {name: group["a"]["value"] for name, group in groups.items()} == {"x": 1.0, "y": 0.0}
    assert means.groups("unknown") == {}


def test_groups_beyond_some_hundred_are_taken_together() -> None:
    means = Means(["a"], 10, 0)
    names = [f"g{number}" for number in range(1000)]
    means.add(np.ones((1000, 1)), names, {"g": names})
    groups = means.groups("g")
    assert sum(group["rows"] for group in groups.values()) == 1000
    assert len(groups) == 201
    assert groups[OTHERS]["rows"] == 800
