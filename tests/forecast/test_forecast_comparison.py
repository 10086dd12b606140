"""What of a forecast is compared with what a job took, from hand-made figures."""

from __future__ import annotations

from typing import Any

import pytest

from batchfim.metrics.comparison import compare_with_actual

TOKENS = {"prompt": 100, "computed": 60, "completion": 30}


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def forecast(**changed: Any) -> dict[str, Any]:
    return {
        "rows": 24,
        "shards": 6,
        "workers": 2,
        "tokens": {name: estimate(number) for name, number in TOKENS.items()},
        "time": {"run_s": estimate(8), "wall_s": estimate(10)},
    } | changed


def run(shards: int, workers: int = 2, engines: int = 2) -> dict[str, Any]:
    times = {"run_s": 9.0, "total_s": 42.0, "regroup_s": 30.0}
    return {"shards": shards, "workers": workers, "engines": [{}] * engines} | times


def labels(told: dict[str, Any], runs: list[dict[str, Any]], rows: int = 24) -> list[str]:
    summary = {"rows": {"rows": rows}, "shards": 6, "tokens": TOKENS, "runs": runs}
    return [line["label"] for line in compare_with_actual(told, summary)]


ALL = ["prompt tokens", "computed tokens", "completion tokens", "time of work", "wall clock"]


def test_tokens_and_the_time_of_one_run_that_did_it_all_are_compared() -> None:
    assert labels(forecast(), [run(6)]) == ALL
    assert labels(forecast(time=None), [run(6)]) == ALL[:3]


@pytest.mark.parametrize(
    "runs",
    [
        [run(2), run(4)],
        [run(4)],  # the one before it was killed
        [run(6, workers=3, engines=3)],
        [run(6, engines=1)],  # of a range, one came up
    ],
)
def test_time_is_not_where_the_work_was_done_otherwise(runs: list[dict[str, Any]]) -> None:
    assert labels(forecast(), runs) == ALL[:3]


def test_time_is_where_there_were_fewer_shards_than_workers() -> None:
    assert labels(forecast(workers=50), [run(6, workers=6, engines=6)]) == ALL


def test_nothing_is_compared_where_the_job_has_other_rows() -> None:
    assert labels(forecast(rows=12), [run(6)]) == []
