"""The job's summary from hand-made reports, and the audit's complaints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pytest

from batchfim.metrics.audit import audit as audit_tables
from batchfim.metrics.done import done_table
from batchfim.metrics.shard_report import OTHER_CAUSES, Counts, ShardReport
from batchfim.metrics.summary import RunEntry
from batchfim.metrics.totals import Totals
from batchfim.records import Completion, Status
from batchfim.shards import Shard

Reports = Callable[..., ShardReport]
OK = Completion(
    Status.OK,
    prompt_tokens=10,
    cached_tokens=6,
    completion_tokens=5,
    kept_tokens=4,
    num_preemptions=2,
    finish_reason="stop",
    stop_rule="eot",
    trim_rule="line",
    degenerate="repetition",
    latency_s=2.0,
)
BAD = Completion(Status.REJECTED, error="null")
RUN = RunEntry(
    total_s=5.0,
    engine_start_s=1.0,
    run_s=4.0,
    shards=1,
    records=2,
    workers=3,
    counts=Counts.of([OK, OK]),
)


def shard(name: str, num_rows: int) -> Shard:
    return Shard(name, "file", "content", "/a.parquet", 0, num_rows)


def summarize(reports: Iterable[ShardReport]) -> dict[str, Any]:
    return Totals.sum(map(Totals.of, reports)).summary()


def test_a_summary_is_the_sum_of_its_reports(report: Reports) -> None:
    reports = [report("a", [OK, OK]), report("b", [OK, BAD], phase_s=0.5)]
    summary = summarize(iter(reports))
    assert (summary["shards"], summary["records"]) == (2, 4)
    assert summary["rows"] == {
        "rows": 4,
        "ok": 3,
        "rejected": 1,
        "failed": 0,
        "truncated": 0,
        "normalized": 0,
        "copied": 0,
        "done": 4,
    }
    assert summary["tokens"] == {
        "prompt": 30,
        "cached": 18,
        "computed": 12,
        "completion": 15,
        "kept": 12,
        "drafted": 0,
        "accepted": 0,
    }
    assert summary["preemptions"] == 6
    assert (summary["stop_rules"], summary["trim_rules"]) == ({"eot": 3}, {"line": 3})
    assert summary["degenerate"] == {"repetition": 3}
    assert (summary["finish_reasons"], summary["errors"]) == ({"stop": 3}, {"null": 1})
    assert summary["seconds"]["latency_s"]["max"] == 2.0
    assert summary["seconds"]["ttft_s"]["p50"] is None
    assert summary["work_s"] == {"read": 1.5, "encode": 3.0, "generate": 4.5, "write": 6.0}


def test_rates_are_of_a_run_and_its_own_clock() -> None:
    this_run = RUN.summary()
    assert (this_run["records"], this_run["rows"]) == (2, 2)
    assert this_run["records_per_s"] == pytest.approx(0.5)
    assert this_run["tokens_per_s"] == {
        "prompt": 5.0,
        "cached": 3.0,
        "computed": 2.0,
        "completion": 2.5,
        "kept": 2.0,
        "drafted": 0.0,
        "accepted": 0.0,
    }


def test_a_run_with_nothing_done_has_no_rates_and_is_json(report: Reports) -> None:
    summary = summarize([report("a", [OK])]) | {"runs": [RunEntry().summary()]}
    assert summary["runs"][0]["records_per_s"] is None
    assert summary["rows"]["ok"] == 1
    assert json.loads(json.dumps(summary)) == json.loads(json.dumps(summary, default=list))
    assert summarize([])["seconds"]["latency_s"]["p99"] is None


def test_errors_add_up_to_the_rows_and_other_causes_are_in_no_ranking(report: Reports) -> None:
    def failed(names: Iterable[int]) -> list[Completion]:
        return [Completion(Status.FAILED, error=f"e{name}") for name in names]

    reports = [report("a", failed(range(30))), report("b", failed([77, 77, 77, *range(25)]))]
    found = summarize(reports)["errors"]
    assert sum(found.values()) == 58
    assert len(found) == 21
    assert (next(iter(found)), list(found)[-1]) == ("e77", "other causes")


def audit(
    planned: list[Shard],
    reports: list[ShardReport],
    samples: int,
    sizes: dict[str, int] | None = None,
) -> list[str]:
    if sizes is None:
        sizes = {report.shard_id: report.size_bytes for report in reports}
    schema = pa.schema([("shard_id", pa.string()), ("size_bytes", pa.int64())])
    parts = pa.table({"shard_id": list(sizes), "size_bytes": list(sizes.values())}, schema=schema)
    rows = [{"id": shard.id, "num_rows": shard.num_rows} for shard in planned]
    shards = pa.Table.from_pylist(rows, pa.schema([("id", pa.string()), ("num_rows", pa.int64())]))
    return [one.text for one in audit_tables(shards, done_table(reports), parts, samples)]


def test_an_audit_that_closes_says_nothing(report: Reports) -> None:
    planned = [shard("a", 2), shard("b", 1), shard("not done", 7)]
    assert audit(planned, [report("a", [OK, BAD]), report("b", [OK])], samples=1) == []
    assert audit([shard("a", 1)], [report("a", [OK, OK, BAD])], samples=3) == []


def test_a_part_that_is_gone_or_changed_is_named(report: Reports) -> None:
    reports = [report("a", [OK]), report("b", [OK])]
    sizes = {"b": reports[1].size_bytes + 7}
    gone, changed = audit([shard("a", 1), shard("b", 1)], reports, 1, sizes)
    assert "part-a.parquet is missing" in gone
    assert f"part-b.parquet has {reports[1].size_bytes + 7} bytes" in changed


def test_rows_that_are_lost_or_doubled_are_named(report: Reports) -> None:
    planned = [shard("a", 2), shard("b", 2)]
    assert audit(planned, [report("a", [OK]), report("b", [OK] * 3)], samples=1) == [
        "shard a has 1 rows, expected 2",
        "shard b has 3 rows, expected 2",
    ]


def test_a_shard_nobody_planned_is_named(report: Reports) -> None:
    (complaint,) = audit([shard("a", 1)], [report("b", [OK])], samples=1)
    assert complaint == "shard b is done but was never planned"


def test_statuses_that_do_not_add_up_are_named(report: Reports) -> None:
    wrong = report("a", [OK, OK]).model_copy(update={"counts": Counts(rows=2, ok=1)})
    (complaint,) = audit([shard("a", 2)], [wrong], samples=1)
    assert complaint == "shard a: ok, rejected and failed do not add up to its rows"


def test_nothing_done_is_nothing_wrong() -> None:
    assert audit([shard("a", 1)], [], samples=1, sizes={"orphan": 3}) == []
    assert audit([], [], samples=1) == []


def test_totals_of_totals_lose_nothing(report: Reports) -> None:
    reports = [report(str(i), [OK] * i + [BAD]) for i in range(6)]
    halves = [Totals.sum(map(Totals.of, part)) for part in (reports[:2], reports[2:])]
    whole = Totals.sum(map(Totals.of, reports))
    assert Totals.sum(halves) == whole
    assert Totals.model_validate_json(whole.model_dump_json()) == whole


def test_a_runs_rows_are_its_samples() -> None:
    told = RunEntry(run_s=2.0, records=4, counts=Counts(rows=12)).summary()
    assert (told["records"], told["rows"], told["records_per_s"]) == (4, 12, 2.0)


def test_totals_keep_so_many_causes() -> None:
    parts = [Totals(errors={f"cause {chr(0x4E00 + i)}": 1}) for i in range(1005)]
    errors = Totals.sum(parts).errors
    assert (len(errors), errors[OTHER_CAUSES], sum(errors.values())) == (1001, 5, 1005)
