"""The table of shards, read from reports as they are stored."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from batchfim.metrics.shard_report import TIMINGS, Counts, Retried, ShardReport
from batchfim.metrics.shard_table import PARTS_SCHEMA, SHARD_SCHEMA, shard_table, worked
from batchfim.records import Completion, Status

Reports = Callable[..., ShardReport]
OK = Completion(
    Status.OK, prompt_tokens=9, completion_tokens=3, ttft_s=0.5, latency_s=2.0, queue_s=0.25
)
FAILED = Completion(Status.FAILED, error="engine \n died")


def test_a_row_says_what_its_report_says(report: Reports) -> None:
    told = report("a", [OK, OK, FAILED]).model_copy(update={"run": "r", "started_at": 1e9})
    (row,) = shard_table([told.model_dump_json()]).to_pylist()
    for name in row.keys() & ShardReport.model_fields.keys():
        assert row[name] == getattr(told, name), name
    for name in row.keys() & Counts.model_fields.keys():
        assert row[name] == getattr(told.counts, name), name
    for name in TIMINGS:
        assert row[name] == told.timings[name].total, name
    assert row["max_latency_s"] == 2.0


def counted(table: pa.Table) -> list[tuple[float, ...]]:
    names = ("attempt", "records", "rows", "ok", "failed", "latency_s", "max_latency_s")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def test_a_retried_shard_is_whole_and_says_what_was_worked_again(report: Reports) -> None:
    whole = report("a", [OK, OK, OK, FAILED])
    seconds = dict.fromkeys(TIMINGS, 0.0) | {"latency_s": 0.5}
    again = Retried(records=1, counts=Counts.of([FAILED]), attempt=3, timings=seconds)
    retried, other = whole.model_copy(update={"retried": again}), report("b", [OK])
    table = shard_table([retried.model_dump_json(), other.model_dump_json()])
    assert counted(table) == [(3, 4, 4, 3, 1, 6.0, 2.0), (1, 1, 1, 1, 0, 2.0, 2.0)]
    own, nothing = table["retried"].to_pylist()
    assert (own["rows"], own["failed"], own["latency_s"], nothing) == (1, 1, 0.5, None)
    assert counted(worked(table)) == [(3, 1, 1, 0, 1, 0.5, 2.0), (1, 1, 1, 1, 0, 2.0, 2.0)]
    assert worked(table.slice(1)).schema == worked(table).schema == SHARD_SCHEMA


def test_a_shard_without_rows_has_no_share_of_anything(report: Reports) -> None:
    (row,) = shard_table([report("a", []).model_dump_json()]).to_pylist()
    assert (row["rows"], row["latency_s"], row["max_latency_s"]) == (0, 0.0, 0.0)
    assert shard_table([]).schema == PARTS_SCHEMA
    assert worked(shard_table([])).schema == SHARD_SCHEMA


@pytest.mark.parametrize("wrong", ["{", '{"shard_id": "a"}', '{"shard_id": 1}', "[]"])
def test_what_is_no_report_is_refused(report: Reports, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"missing|JSON"):
        shard_table([report("a", [OK]).model_dump_json(), wrong])
