"""What is kept of a run, and in which order runs are found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchfim.metrics.run_record import RunRecord


def record(after: timedelta, run_id: str) -> RunRecord:
    started_at = datetime(2026, 1, 1, tzinfo=UTC) + after
    return RunRecord(id=run_id, started_at=started_at, host="h", shards_to_do=1)


def test_names_are_in_the_order_of_time_within_a_second_too() -> None:
    in_order = [
        record(timedelta(), "d"),
        record(timedelta(milliseconds=20), "c"),
        record(timedelta(milliseconds=300), "b"),
        record(timedelta(seconds=1), "a"),
    ]
    assert sorted(r.name for r in in_order) == [r.name for r in in_order]
