"""What each worker did when, and where the time went, from hand-made shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.metrics.shard_table import SHARD_SCHEMA
from batchfim.metrics.time_use import time_use
from batchfim.metrics.timeline import spans, timeline

NOTHING: dict[str, Any] = {
    field.name: "" if pa.types.is_string(field.type) else 0 for field in SHARD_SCHEMA
}


def shard(worker: str, start_s: float, generate_s: float, **values: Any) -> dict[str, Any]:
    """A shard that began to be generated at that second of a run, and was 10 rows."""
    times = {"started_at": 1000 + start_s, "generate_s": generate_s}
    return NOTHING | {"run": "a", "worker": worker, "rows": 10} | times | values


def table(*shards: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(shards), SHARD_SCHEMA)


def test_rates_are_rows_over_the_time_they_took() -> None:
    line = timeline(spans(table(shard("w-0", 0, 2), shard("w-0", 2, 2), shard("w-1", 0, 4))))
    assert line.rows_per_s["w-0"] == pytest.approx(np.full(12, 5.0))
    assert line.rows_per_s["w-1"] == pytest.approx(np.full(12, 2.5))


def test_records_in_flight_are_latency_over_time() -> None:
    line = timeline(spans(table(shard("w-0", 0, 4, latency_s=32.0))))
    assert line.in_flight["w-0"] == pytest.approx(np.full(12, 8.0))


def test_a_cache_that_was_not_asked_has_no_share() -> None:
    shards = table(
        shard("w-0", 0, 2, prompt_tokens=100, cached_tokens=25),
        shard("w-0", 4, 2, prompt_tokens=100, cached_tokens=75),
    )
    found = timeline(spans(shards)).cached_share["w-0"]
    assert found[:4] == pytest.approx(np.full(4, 0.25))
    assert np.isnan(found[4:8]).all()
    assert found[8:] == pytest.approx(np.full(4, 0.75))


@given(
    st.lists(
        st.tuples(st.sampled_from(["w-0", "w-1"]), st.floats(0, 50), st.floats(0.01, 30)),
        min_size=1,
        max_size=30,
    )
)
def test_no_row_is_lost_between_the_bins(shards: list[tuple[str, float, float]]) -> None:
    line = timeline(spans(table(*(shard(*one) for one in shards))))
    width_s = np.diff(line.edges_s)
    rows = sum((rates * width_s).sum() for rates in line.rows_per_s.values())
    assert rows == pytest.approx(10 * len(shards), rel=1e-6)


def test_the_time_between_runs_is_left_out() -> None:
    later = {"run": "b", "started_at": 90_000.0}
    laid = spans(table(shard("w-0", 5, 2), shard("w-0", 0, 3) | later))
    assert laid.start_s.tolist() == [0.0, 2.0]
    assert laid.total_s == 5.0


def test_where_the_time_went_adds_up_to_workers_times_the_runs_clock() -> None:
    own = {"queue_s": 10.0, "ttft_s": 20.0, "latency_s": 50.0}  # a quarter of it prefill
    shards = table(shard("w-0", 0, 4, **own), shard("w-0", 3, 3, **own), shard("w-0", 8, 2, **own))
    shards = pa.concat_tables([shards, table(shard("w-1", 0, 7, **own))])
    engines = [{"worker": name, "start_s": 3.0, "ready_s": 3.0} for name in ("w-0", "w-1")]
    run = {"run": "a", "engine_start_s": 3.0, "engines": engines, "worker_s": 20.0}
    used = time_use(shards, [run])
    assert used == pytest.approx(
        {"start": 6.0, "prefill": 15 / 4, "decode": 15 * 3 / 4, "idle": 2.0, "tail": 3.0}
    )
    assert sum(used.values()) == pytest.approx(2 * (3 + 10))


def test_where_the_time_went_holds_waits_late_starts_and_workers_without_a_shard() -> None:
    engines = [
        {"worker": "w-0", "start_s": 3.0, "ready_s": 3.0},
        {"worker": "w-1", "start_s": 4.0, "ready_s": 5.0},
        {"worker": "w-2", "start_s": 1.0, "ready_s": 8.0},
    ]
    run = {"run": "a", "engine_start_s": 3.0, "engines": engines, "worker_s": 10.0 + 8.0 + 5.0}
    shards = table(shard("w-0", 0, 10), shard("w-1", 4, 6))
    assert time_use(shards, [run]) == pytest.approx(
        {"start": 8.0 + 2.0, "prefill": 0.0, "decode": 16.0, "idle": 0.0, "tail": 5.0}
    )


def test_where_the_time_went_of_runs_that_failed_were_killed_or_worked_anew() -> None:
    failed = {"run": "f", "engine_start_s": 9.0, "engines": [], "worker_s": 0.0}
    engines = [{"worker": "w-0", "start_s": 2.0, "ready_s": 2.0}]
    gone = {"run": "g", "engine_start_s": 2.0, "engines": engines, "worker_s": 7.0}
    killed = table(shard("w-0", 0, 4), shard("w-1", 1, 2))
    assert time_use(killed, [failed, gone]) == pytest.approx(
        {"start": 2.0 + 1.0, "prefill": 0.0, "decode": 6.0, "idle": 0.0, "tail": 7.0 + 1.0}
    )
