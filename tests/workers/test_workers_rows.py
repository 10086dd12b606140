"""What becomes of each row: ok, rejected with its reason, or failed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batchfim.metrics.shard_report import ShardReport
from batchfim.workers.pool import FailureKind, ShardFailure

OpenDesk = Callable[..., Any]
CONTEXT = pa.list_(pa.struct({"path": pa.string(), "text": pa.string()}))


def statuses(rows: list[dict[str, Any]]) -> str:
    return "".join(row["status"][0] for row in rows)


def test_every_row_is_there_in_order_with_its_columns(open_desk: OpenDesk) -> None:
    desk = open_desk()
    rows = desk.rows(desk.lease(start=2, num_rows=5))
    assert [row["id"] for row in rows] == ["r2", "r3", "r4", "r5", "r6"]
    assert [row["prefix"] for row in rows] == [f"def f{i}(x):\n    return " for i in range(2, 7)]
    assert statuses(rows) == "ooooo"
    for row in rows:
        assert row["error"] is None
        assert row["finish_reason"] in ("stop", "length")
        assert row["middle"] == row["raw_middle"]
        assert row["middle"] in row["prefix"] + row["suffix"]  # the engine repeats the prompt
        assert row["prompt_tokens"] > 3
        assert 0 <= row["queue_s"] <= row["ttft_s"] <= row["latency_s"]
    assert {(r["family"], r["order"], r["worker"], r["attempt"]) for r in rows} == {
        ("starcoder2", "psm", "w", 1)
    }


def test_a_row_that_is_no_record_is_rejected_by_file_row_and_column(open_desk: OpenDesk) -> None:
    prefix = pa.array([b"a", None, b"\xff", b"b", b"c", b"d", b"e", b"f"])
    suffix = pa.array(["s"] * 3 + [None] + ["s"] * 4)
    desk = open_desk(prefix=prefix, suffix=suffix)
    rows = desk.rows(desk.lease(start=1, num_rows=4))
    assert statuses(rows) == "rrro"
    assert [row["error"] for row in rows] == [
        f"{desk.path}, row 1: column 'prefix' is null, expected text",
        f"{desk.path}, row 2: column 'prefix' is not UTF-8 text: invalid start byte at byte 0",
        f"{desk.path}, row 3: column 'suffix' is null, expected text",
        None,
    ]
    assert rows[0]["middle"] is None
    assert rows[0]["latency_s"] is None


def test_the_engine_refuses_one_and_fails_on_another(open_desk: OpenDesk) -> None:
    desk = open_desk(
        "engine.simulated.refuse_if_contains=f3(x)", "engine.simulated.fail_if_contains=f5(x)"
    )
    rows = desk.rows(desk.lease())
    assert statuses(rows) == "ooorofoo"
    assert rows[3]["error"] == "the engine refused the prompt: refused on demand"
    assert rows[5]["error"] == "the engine failed on this record: failed on demand"


def test_a_row_without_a_middle_says_what_its_prompt_was(open_desk: OpenDesk) -> None:
    desk = open_desk(
        "infill.order=auto",
        "engine.max_model_len=80",
        "sampling.max_tokens=20",
        "engine.simulated.refuse_if_contains=f3(x)",
        "engine.simulated.fail_if_contains=f5(x)",
        prefix=["x = [1, 2, 3]\n" * 50 + f"def f{i}(x):\n    return " for i in range(8)],
    )
    rows = desk.rows(lease := desk.lease())
    assert statuses(rows) == "ooorofoo"
    for row in (rows[3], rows[5]):
        assert row["order"] == rows[0]["order"] != "auto"
        assert row["truncated_prefix_tokens"] == rows[0]["truncated_prefix_tokens"] > 0
        assert (row["prompt_tokens"], row["cached_tokens"]) == (0, 0)  # it computed nothing known
    assert desk.work(lease).orders == {rows[0]["order"]: 6}


def test_a_dead_engine_loses_the_worker_and_stages_nothing(open_desk: OpenDesk) -> None:
    desk = open_desk("engine.simulated.die_if_contains=f3(x)")
    outcome = desk.work(desk.lease())
    assert outcome.kind is FailureKind.ENGINE
    assert "died on demand" in outcome.cause
    assert (desk.ledger.root / "staging").list() == []


def test_a_verdict_writes_the_rows_as_failed_without_the_engine(open_desk: OpenDesk) -> None:
    desk = open_desk("engine.simulated.die_if_contains=f3(x)", suffix=[None] + ["s"] * 7)
    rows = desk.rows(desk.lease(failure="6 workers were lost"))
    assert statuses(rows) == "rfffffff"
    assert rows[3]["error"] == "6 workers were lost"


@pytest.mark.parametrize(("enabled", "expected"), [("false", "rooooooo"), ("true", "oooooooo")])
def test_a_long_record_is_cut_or_rejected(open_desk: OpenDesk, enabled: str, expected: str) -> None:
    desk = open_desk(
        f"infill.truncation.enabled={enabled}",
        "engine.max_model_len=80",
        "sampling.max_tokens=20",
        prefix=["x = [1, 2, 3]\n" * 50] + ["a = "] * 7,
    )
    rows = desk.rows(desk.lease())
    assert statuses(rows) == expected
    if enabled == "true":
        assert rows[0]["prompt_tokens"] == 60
        assert rows[0]["truncated_prefix_tokens"] > 0
    else:
        assert "the context leaves room for 60" in rows[0]["error"]
    assert rows[1]["truncated_prefix_tokens"] == 0


def test_other_files_go_into_the_prompt(open_desk: OpenDesk) -> None:
    files = [{"path": "a.py", "text": "A = 1\n" * 40}, {"path": "b.py", "text": "B = 2\n"}]
    bad = pa.array([b"ok"] * 6 + [None, b"\xff"])
    desk = open_desk(
        "infill.order=repo_psm",
        *(f"input.columns.{name}={name}" for name in ("context", "path", "repo")),
        "engine.max_model_len=100",
        "sampling.max_tokens=20",
        context=pa.array([files, None, [], files[1:], *[[None]] * 4], CONTEXT),
        path=bad,
        repo=["demo"] * 8,
    )
    rows = desk.rows(desk.lease())
    assert statuses(rows) == "ooooooor"
    assert (
        rows[7]["error"]
        == f"{desk.path}, row 7: column 'path' is not UTF-8 text: invalid start byte"
    )
    dropped = [row["truncated_context_tokens"] for row in rows[:4]]
    assert dropped[0] > 100
    assert dropped[1:] == [0, 0, 0]
    # Without the file that was dropped, the first row's prompt is the fourth's.
    assert rows[0]["prompt_tokens"] == rows[3]["prompt_tokens"] > rows[1]["prompt_tokens"]
    assert rows[1]["prompt_tokens"] == rows[2]["prompt_tokens"]


def test_a_baseline_is_marked_in_every_row(open_desk: OpenDesk) -> None:
    desk = open_desk("infill.order=prefix_only", suffix=[None] + ["never seen"] * 7)
    rows = desk.rows(desk.lease())
    assert statuses(rows) == "rooooooo"
    assert {(row["family"], row["order"]) for row in rows} == {("none", "prefix_only")}
    assert not any("never seen" in (row["middle"] or "") for row in rows)


def test_the_report_accounts_for_the_part(open_desk: OpenDesk) -> None:
    desk = open_desk("engine.simulated.refuse_if_contains=f3(x)")
    lease = desk.lease()
    report = desk.work(lease)
    assert isinstance(report, ShardReport)
    content = Path(desk.ledger.staged("run", lease.shard.id, 1).path).read_bytes()
    assert report.checksum == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert report.size_bytes == len(content)
    assert (report.counts.rows, report.counts.ok, report.counts.rejected) == (8, 7, 1)
    assert report.timings["latency_s"].count == 7
    assert report.errors == {"the engine refused the prompt: refused on demand": 1}
    assert (report.shard_id, report.attempt, report.worker) == (lease.shard.id, 1, "w")
    assert desk.ledger.done_ids() == set()  # committing is the driver's


def test_a_file_that_is_gone_fails_the_attempt_only(open_desk: OpenDesk) -> None:
    desk = open_desk()
    content = desk.path.read_bytes()
    lease = desk.lease()
    desk.path.unlink()
    outcome = desk.work(lease)
    assert "a.parquet" in outcome.cause
    assert outcome.kind is FailureKind.STORAGE
    desk.path.write_bytes(content)
    assert statuses(desk.rows(desk.lease(attempt=2))) == "oooooooo"


def test_with_auto_each_row_names_the_order_its_file_shares_more_in(open_desk: OpenDesk) -> None:
    text = "".join(f"value_{number} = compute({number})\n" for number in range(20))
    prefix = [None, *(text[: 100 + 20 * i] for i in range(3)), *(f"{i}" for i in range(4))]
    suffix = ["s", *[text[300:]] * 3, *["s"] * 4]
    desk = open_desk("infill.order=auto", prefix=prefix, suffix=suffix)
    lease = desk.lease()
    rows = desk.rows(lease)
    assert [row["order"] for row in rows] == ["auto", *["spm_v2"] * 3, *["psm"] * 4]
    assert desk.work(lease).orders == {"spm_v2": 3, "psm": 4}


def test_reading_is_progress(open_desk: OpenDesk) -> None:
    """Here, of a file that is shorter than planned, so that no engine was asked."""
    desk = open_desk()
    assert desk.pool.steps() == {"w": 0}
    assert isinstance(desk.work(desk.lease(num_rows=9)), ShardFailure)
    assert desk.pool.steps()["w"] > 0
