"""Stop and trim rules through a worker: columns, early ends, samples, and sums that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from batchfim.formats.borders import Borders
from batchfim.formats.stopping import find_end
from batchfim.formats.syntax import syntax_end
from batchfim.metrics.shard_report import ENDINGS, ShardReport
from batchfim.records import Hole

OpenDesk = Callable[..., Any]
Rows = list[dict[str, Any]]
SAMPLING = ("sampling.temperature=1", "sampling.n=5", "sampling.max_tokens=20")
STOP = "infill.stop=[eot, suffix_start, block, line]"
TRIM = "infill.trim=[suffix_overlap, line, syntax]"
COLUMNS = {
    "prefix": [f"import os\n\n\ndef f{i}(x):\n    y = x + {i}\n    return " for i in range(8)],
    "suffix": [f"\n\n\nprint(f{i}(1))\nprint(f{i}(2))\n" for i in range(8)],
    "language": ["python", "Python", None, "cobol", "go", "", "js", "rust"],
    "path": ["a.py", None, "a.py", "a.py", None, "b.pyi", None, None],
}


def work(desk: Any) -> tuple[ShardReport, Rows]:
    lease = desk.lease()
    report = desk.work(lease)
    assert isinstance(report, ShardReport), report
    return report, pq.read_table(desk.ledger.staged("run", lease.shard.id, 1).path).to_pylist()


def test_without_rules_a_middle_is_its_raw_one(open_desk: OpenDesk) -> None:
    _, rows = work(open_desk(*SAMPLING, **COLUMNS))
    assert {row["stop_rule"] for row in rows} == {"eot", "length"}
    for row in rows:
        assert row["middle"] == row["raw_middle"]
        assert row["trim_rule"] is None
        assert row["stop_rule"] == {"stop": "eot", "length": "length"}[row["finish_reason"]]
        assert row["kept_tokens"] <= row["completion_tokens"] - (row["stop_rule"] == "eot")
    lost = sum(row["completion_tokens"] - row["kept_tokens"] for row in rows)
    # Stop tokens.
    assert 0 < lost < sum(row["completion_tokens"] for row in rows) / 2


def test_stop_rules_end_generation_early_with_the_same_middle(open_desk: OpenDesk) -> None:
    _, whole = work(open_desk(*SAMPLING, **COLUMNS))
    _, rows = work(open_desk(*SAMPLING, STOP, **COLUMNS))
    assert len(rows) == len(whole) == 40
    for row, full in zip(rows, whole, strict=True):
        assert full["raw_middle"].startswith(row["raw_middle"])
        borders = Borders.of(Hole(row["prefix"], row["suffix"]))
        found = find_end(full["raw_middle"], borders, ["suffix_start", "block", "line"], ended=True)
        # Of two rules, the one decided first ends it: they differ by blanks before the border.
        expected = full["raw_middle"][: found[0] if found else None]
        assert row["middle"].rstrip() == expected.rstrip()
        if row["finish_reason"] == "rule":
            assert row["stop_rule"] in ("line", "block", "suffix_start")
            assert row["completion_tokens"] <= full["completion_tokens"]
    generated = [sum(row["completion_tokens"] for row in some) for some in (rows, whole)]
    assert generated[0] < generated[1]
    assert {"line", "eot"} <= {row["stop_rule"] for row in rows}


def test_the_report_and_the_table_add_up(open_desk: OpenDesk) -> None:
    desk = open_desk(*SAMPLING, STOP, TRIM, "engine.simulated.refuse_if_contains=f3(x)", **COLUMNS)
    report, rows = work(desk)
    for name, column in ENDINGS.items():
        ended = [row[column] for row in rows if row["status"] == "ok"]
        assert getattr(report, name) == Counter(filter(None, ended))
    done = [row for row in rows if row["status"] == "ok"]
    assert sum(report.stop_rules.values()) == len(done) == report.counts.ok == 35
    assert report.counts.kept_tokens == sum(row["kept_tokens"] for row in rows)
    assert report.counts.completion_tokens == sum(row["completion_tokens"] for row in rows)
    for row in rows:
        assert (row["middle"] is None) == (row["stop_rule"] is None) == (row["status"] != "ok")
    for row in done:
        assert row["raw_middle"].startswith(row["middle"])
        assert 0 <= row["kept_tokens"] <= row["completion_tokens"]


def test_syntax_cuts_where_the_language_is_known(open_desk: OpenDesk) -> None:
    """The two columns need not ride along to be read."""
    _, whole = work(open_desk(*SAMPLING, **COLUMNS))
    _, rows = work(open_desk(*SAMPLING, "infill.trim=[syntax]", **COLUMNS))
    known = ["python", "python", "python", None, "go", "python", "javascript", "rust"]
    for row, full in zip(rows, whole, strict=True):
        language = known[int(row["id"][1:])]
        raw = full["raw_middle"]
        kept = syntax_end(raw, row["prefix"], row["suffix"], language) if language else len(raw)
        assert (row["raw_middle"], row["middle"]) == (raw, raw[:kept])
        assert row["trim_rule"] == ("syntax" if kept < len(raw) else None)
    assert {row["id"] for row in rows if row["trim_rule"]} >= {"r0", "r1", "r2", "r5"}
    assert "language" not in rows[0]


def test_a_loop_is_flagged_and_left_alone(open_desk: OpenDesk) -> None:
    """The simulated engine repeats the prompt, which here is one token over and over."""
    loop = {"prefix": ["a" + " a" * 200] * 8, "suffix": [""] * 8}
    report, rows = work(open_desk(*SAMPLING, "sampling.max_tokens=17", **loop))
    flagged = [row for row in rows if row["degenerate"] == "pad_loop"]
    assert all(row["stop_rule"] == "length" for row in flagged)
    assert report.degenerate == {"pad_loop": len(flagged)}
    assert flagged
    assert all(row["middle"] == row["raw_middle"] for row in flagged)
