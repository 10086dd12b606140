"""Texts of records in a page: nothing acts, nothing hides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.records import OUTPUT_COLUMNS
from batchfim.report.showing import TextColumns, shown
from batchfim.report.texts import changes, head, tail, visible


def test_markup_is_escaped_and_what_cannot_be_seen_is_written_out() -> None:
    assert visible("<b>\n\t&") == "&lt;b&gt;\n\t&amp;"
    assert visible("a\u202eb") == 'a<span class="unseen">\\u202e</span>b'
    assert visible("\x00") == '<span class="unseen">\\x00</span>'


@given(st.text())
def test_no_character_of_a_text_can_open_an_element_or_an_attribute(text: str) -> None:
    left = visible(text).replace('<span class="unseen">', "").replace("</span>", "")
    assert not set("<>\"'") & set(left)


def test_a_comparison_tells_what_came_and_what_went() -> None:
    found = [(change.kind, change.text) for change in changes("return a + b", "return b")]
    assert found == [("same", "return "), ("delete", "a + "), ("same", "b")]
    found = [(change.kind, change.text) for change in changes("a b c", "x y z")]
    assert found == [("delete", "a b c"), ("insert", "x y z")]


def test_a_middle_that_repeats_itself_is_compared_like_others() -> None:
    """What loops is shown in each report: its size is the work, not how often a line comes."""
    lines = "".join(f"        self.assertEqual(f({row}), {row * row})\n" for row in range(100))
    found = changes(lines, "        self.assertEqual(f(1), 2)\n" * 140)
    assert sum(len(change.text) for change in found if change.kind != "delete") == 4000


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_comparison_holds_both_texts_whole(reference: str, middle: str) -> None:
    found = changes(reference, middle)
    assert "".join(c.text for c in found if c.kind != "insert") == reference
    assert "".join(c.text for c in found if c.kind != "delete") == middle


@pytest.mark.parametrize(
    ("middle", "reference", "verdict"),
    [
        ("x + 1\n  ", "x + 1", "exact"),
        ("x + 1", "x + 1\n", "exact"),
        (" x + 1", "x + 1", "differs"),
        (None, "x + 1", "failed"),
    ],
)
def test_a_middle_is_exact_where_an_evaluation_says_so(
    middle: str | None, reference: str, verdict: str
) -> None:
    row = dict.fromkeys(OUTPUT_COLUMNS) | {"part": "p", "part_row": 0, "status": "failed"}
    row |= {"middle": middle, "middle_reference": reference}
    told = shown(row, TextColumns("prefix", "suffix"))
    assert (told.verdict, bool(told.changes)) == (verdict, verdict == "differs")


def test_long_texts_are_cut_and_say_so() -> None:
    assert tail("one\ntwo\nthree", 8, 9) == "…wo\nthree"
    assert tail("one\ntwo\nthree", 99, 2) == "…two\nthree"
    assert tail("short", 8, 1) == "short"
    assert head("abcdef", 3, 9) == "abc…"
    assert head("a\nb\nc", 9, 2) == "a\nb…"
