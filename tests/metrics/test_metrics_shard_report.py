"""Counts of rows and tokens, and what a shard's report says of its errors and endings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.metrics.shard_report import Counts, endings, errors, timings
from batchfim.records import Completion, Status

ROWS = [
    Completion(
        Status.OK,
        order="psm",
        prompt_tokens=10,
        cached_tokens=4,
        completion_tokens=3,
        kept_tokens=2,
        num_preemptions=3,
        truncated_suffix_tokens=1,
        finish_reason="stop",
        stop_rule="line",
        trim_rule="suffix_overlap,syntax",
        queue_s=0.0,
        ttft_s=0.5,
        tpot_s=0.1,
        latency_s=0.7,
    ),
    Completion(
        Status.OK,
        prompt_tokens=6,
        completion_tokens=1,
        finish_reason="length",
        stop_rule="length",
        degenerate="pad_loop",
        ttft_s=0.25,
    ),
    Completion(Status.REJECTED, error="null"),
    Completion(Status.REJECTED, error="null"),
    Completion(Status.FAILED, error="died"),
]
COUNTS = st.builds(Counts, rows=st.integers(0, 9), ok=st.integers(0, 9), failed=st.integers(0, 9))


def test_counts_of_rows() -> None:
    counts = Counts.of(ROWS)
    assert counts.model_dump() == {
        "rows": 5,
        "ok": 2,
        "rejected": 2,
        "failed": 1,
        "truncated": 1,
        "copied": 0,
        "normalized": 0,
        "prompt_tokens": 16,
        "cached_tokens": 4,
        "completion_tokens": 4,
        "kept_tokens": 2,
        "preemptions": 3,
        "drafted_tokens": 0,
        "accepted_tokens": 0,
    }
    assert counts.computed_tokens == 12


@settings(deadline=None)
@given(parts=st.lists(COUNTS, max_size=5))
def test_counts_add_up_field_by_field(parts: list[Counts]) -> None:
    total = Counts.sum(parts)
    for name in Counts.model_fields:
        assert getattr(total, name) == sum(getattr(part, name) for part in parts)


@pytest.mark.parametrize("cut", range(6))
def test_counts_of_parts_are_the_counts_of_all(cut: int) -> None:
    assert Counts.sum([Counts.of(ROWS[:cut]), Counts.of(ROWS[cut:])]) == Counts.of(ROWS)


def test_timings_count_only_rows_that_have_them() -> None:
    found = timings(ROWS)
    assert {name: histogram.count for name, histogram in found.items()} == {
        "queue_s": 1,  # zero seconds are a measurement
        "ttft_s": 2,
        "tpot_s": 1,
        "latency_s": 1,
    }
    assert found["ttft_s"].max == 0.5


def test_errors_and_endings_are_counted_by_text() -> None:
    assert errors(ROWS) == {"null": 2, "died": 1}
    assert endings(ROWS) == {
        "orders": {"psm": 1},
        "finish_reasons": {"stop": 1, "length": 1},
        "stop_rules": {"line": 1, "length": 1},
        "trim_rules": {"suffix_overlap,syntax": 1},
        "degenerate": {"pad_loop": 1},
    }


def test_errors_are_counted_by_reason_where_there_is_one() -> None:
    rows = [Completion(Status.REJECTED, error=f"row {i}: null", reason="null") for i in range(300)]
    assert errors([*rows, *ROWS]) == {"null": 302, "died": 1}


def test_errors_that_differ_by_a_number_are_one() -> None:
    rows = [Completion(Status.REJECTED, error=f"the prompt has {i} tokens") for i in range(300)]
    no_text = "column 'prefix1' is not UTF-8 text: invalid start byte at byte"
    rows += [Completion(Status.REJECTED, reason=f"{no_text} {i}", error="r") for i in range(9)]
    assert errors(rows) == {"the prompt has N tokens": 300, f"{no_text} N": 9}


def test_only_the_most_frequent_errors_are_kept() -> None:
    many = [Completion(Status.FAILED, error=f"e{i}") for i in range(100)]
    kept = errors([*many, Completion(Status.FAILED, error="e77")])
    assert len(kept) == 21
    assert next(iter(kept.items())) == ("e77", 2)
    assert list(kept.items())[-1] == ("other causes", 80)
