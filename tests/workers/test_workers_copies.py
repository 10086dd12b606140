"""Equal prompts are computed once, and every row is still its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from batchfim.metrics.shard_report import ShardReport

OpenDesk = Callable[..., Any]
Rows = list[dict[str, Any]]
TIMES = ("queue_s", "ttft_s", "tpot_s", "latency_s")
TWICE = {
    "prefix": [f"def f{i % 4}(x):\n    return " for i in range(8)],
    "suffix": [f"\n\nprint(f{i % 4}(1))\n" for i in range(8)],
}
# In a context of 60 tokens, what differs at the outer ends is cut.
CUT = ("engine.max_model_len=80", "sampling.max_tokens=20")
LONG = {
    "prefix": [f"# file {i}\n" + "x = [1, 2, 3]\n" * 50 for i in range(8)],
    "suffix": ["print(x)\n" * 50 + f"# end {i}\n" for i in range(8)],
}


def work(desk: Any) -> tuple[ShardReport, Rows]:
    lease = desk.lease()
    report = desk.work(lease)
    assert isinstance(report, ShardReport), report
    return report, pq.read_table(desk.ledger.staged("run", lease.shard.id, 1).path).to_pylist()


def test_the_first_of_equal_rows_is_computed_and_the_others_are_copies(open_desk: OpenDesk) -> None:
    _, rows = work(open_desk(**TWICE))
    assert [row["copied"] for row in rows] == [False] * 4 + [True] * 4
    for first, copy in zip(rows[:4], rows[4:], strict=True):
        own = {"id", "copied", "cached_tokens", *TIMES}
        assert {k: v for k, v in copy.items() if k not in own} == {
            k: v for k, v in first.items() if k not in own
        }
        assert copy["cached_tokens"] == copy["prompt_tokens"] > 0
        assert [copy[name] for name in TIMES] == [None] * 4
        assert first["latency_s"] > 0


def test_copies_are_counted_and_add_nothing_to_what_was_computed(open_desk: OpenDesk) -> None:
    report, rows = work(open_desk(**TWICE))
    counts = report.counts
    assert (counts.rows, counts.ok, counts.copied) == (8, 8, 4)
    assert counts.prompt_tokens == sum(row["prompt_tokens"] for row in rows)
    assert counts.computed_tokens == sum(row["prompt_tokens"] for row in rows[:4])
    assert counts.completion_tokens == sum(row["completion_tokens"] for row in rows[:4])
    assert counts.kept_tokens == sum(row["kept_tokens"] for row in rows[:4])
    assert report.timings["latency_s"].count == 4


def test_rows_that_draw_with_seeds_of_their_own_are_all_computed(open_desk: OpenDesk) -> None:
    _, rows = work(open_desk("sampling.temperature=1", "sampling.n=3", **TWICE))
    assert not any(row["copied"] for row in rows)
    middles = [tuple(row["middle"] for row in rows[at : at + 3]) for at in range(0, 24, 3)]
    assert len(set(middles)) == 8


def test_each_copy_is_finished_by_its_own_texts(open_desk: OpenDesk) -> None:
    """With the prefix alone as prompt, equal prompts are of records with different suffixes."""
    same = {"prefix": ["first second third fourth fifth sixth " * 9] * 8}
    settings = ("infill.order=prefix_only", "infill.trim=[suffix_overlap]")
    raw = work(open_desk(*settings, **same))[1][0]["raw_middle"]
    suffixes = ["no start of it"] * 6 + [raw, raw + "#"]
    report, rows = work(open_desk(*settings, **same, suffix=suffixes))
    assert report.counts.copied == 7
    assert {row["raw_middle"] for row in rows} == {raw}
    assert [row["middle"] for row in rows] == [raw] * 6 + [""] * 2


def test_rows_that_other_rules_would_stop_elsewhere_are_asked_for_each(open_desk: OpenDesk) -> None:
    """The hole's line was cut off the prompt, and `block` goes by its indentation."""
    line = "x = [1, 2, 3], " * 50
    indented = {**LONG, "prefix": [" " * (i // 4) + line for i in range(8)]}
    _, rows = work(open_desk(*CUT, **indented))
    assert [row["copied"] for row in rows] == [False] + [True] * 7
    _, rows = work(open_desk(*CUT, "infill.stop=[eot, block]", **indented))
    assert [row["copied"] for row in rows] == [False, True, True, True] * 2


@pytest.mark.parametrize(
    ("mark", "status"), [("refuse_if_contains", "rejected"), ("fail_if_contains", "failed")]
)
def test_what_goes_wrong_with_the_one_request_goes_wrong_with_all_its_rows(
    open_desk: OpenDesk, mark: str, status: str
) -> None:
    report, rows = work(open_desk(f"engine.simulated.{mark}=f1(x)", **TWICE))
    wrong = [row for row in rows if row["id"] in ("r1", "r5")]
    assert [(row["status"], row["copied"]) for row in wrong] == [(status, False)] * 2
    assert wrong[0]["error"] == wrong[1]["error"] != ""
    assert (report.counts.ok, report.counts.copied) == (6, 3)
