"""What the trim rules leave of a middle, by example and for any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.degenerate import find_degenerate
from batchfim.formats.rules import TrimRule
from batchfim.formats.trimming import RULES, Ended, trim
from batchfim.records import Hole

TEXTS = st.text(st.sampled_from("ab1_( )\n\r\t}é"), max_size=30)
ANY = st.text(max_size=30)
ENDED = st.builds(Ended, st.booleans(), st.sampled_from(["python", "javascript", None]))


def trimmed(rule: TrimRule, text: str, prefix: str, suffix: str, **ended: bool) -> str:
    kept, cut_by = trim(text, Hole(prefix, suffix), Ended(**ended), [rule])
    assert cut_by == ([rule] if kept != text else [])
    return kept


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("a = 1\n    return a\n", "\n    return a\n\nprint()", "a = 1"),
        ("a = 1\n    return a", "\n    return a\n\nprint()", "a = 1"),
        ("foo(x)", ")\n", "foo(x)"),  # a bracket alone may be its own
        ("x, y=2)", ", y=2)\n", "x"),
        ("x, y=2) ", ", y=2)\n", "x, y=2) "),  # blanks count
        ("x, y=2)\n", ", y=2)\nz", "x"),
        ("name)", "ame)\n", "n"),
        ("ababab", "abab", "ab"),
        ("abab", "ababab", ""),  # the longest overlap
        ("return a", "return a", ""),
        ("ab", "ab", "ab"),  # two characters are chance
        ("x\n}\n}\n", "\n}\n}\n", "x\n}\n}\n"),
        ("x\n}\nend\n", "\n}\nend\n", "x"),
        ("x", "", "x"),
        ("", "abc", ""),
    ],
)
def test_suffix_overlap(text: str, suffix: str, expected: str) -> None:
    assert trimmed("suffix_overlap", text, "", suffix) == expected


@settings(deadline=None)
@given(text=st.one_of(TEXTS, ANY), suffix=st.one_of(TEXTS, ANY))
def test_an_overlap_is_equal_text_and_the_longest(text: str, suffix: str) -> None:
    kept = trimmed("suffix_overlap", text, "", suffix)
    cut = text[len(kept) :]
    assert suffix.startswith(cut)
    for start in range(len(kept)):
        tail = text[start:]
        telling = len("".join(tail.split())) >= 3 and any(c == "_" or c.isalnum() for c in tail)
        assert not (telling and suffix.startswith(tail))


@settings(deadline=None)
@given(text=TEXTS, start=st.text(st.sampled_from("xyz\n "), max_size=9), rest=TEXTS)
def test_an_overlap_that_is_there_is_cut(text: str, start: str, rest: str) -> None:
    repeated = f"xyz{start}"
    assert trimmed("suffix_overlap", text + repeated, "", repeated + rest) == text


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("    a\n    b\n    retu", "def f():\n", "    c\n", "    a\n    b\n"),
        ("    a\n    b\n    retu", "def f():\n", "\nc\n", "    a\n    b"),
        ("    a\r\n    retu", "def f():\n", "\r\nc\n", "    a"),
        ("\n    a\n    retu", "def f():", "\n", "\n    a"),
        ("    a\n", "def f():\n", "    c\n", "    a\n"),
        ("x + fo", "a = ", "\n", ""),
    ],
)
def test_whole_lines(text: str, prefix: str, suffix: str, expected: str) -> None:
    assert trimmed("line", text, prefix, suffix, unfinished=True) == expected
    assert trimmed("line", text, prefix, suffix, unfinished=False) == text


def test_rules_follow_each_other_in_the_order_given() -> None:
    hole = Hole("def f():\n", "    return a\n")
    text = "    a = 1\n    return a\n    b = ("
    ended = Ended(unfinished=True, language="python")
    assert trim(text, hole, ended, ["line", "suffix_overlap"]) == (
        "    a = 1\n",
        ["line", "suffix_overlap"],
    )
    assert trim(text, hole, ended, ["suffix_overlap", "line"]) == (
        "    a = 1\n    return a\n",
        ["line"],
    )
    assert trim(text, hole, ended, []) == (text, [])


def test_one_line_is_dropped_even_where_two_rules_could() -> None:
    """What an earlier rule ended is no longer unfinished."""
    hole = Hole("", "\nend_of_all\n")
    text = "a\nb\nend_of_all"
    rules: list[TrimRule] = ["suffix_overlap", "line"]
    assert trim(text, hole, Ended(unfinished=True), rules) == ("a\nb", ["suffix_overlap"])


@settings(deadline=None, max_examples=200)
@given(text=TEXTS, prefix=TEXTS, suffix=TEXTS, ended=ENDED)
def test_trimming_cuts_the_end_only_and_only_once(
    text: str, prefix: str, suffix: str, ended: Ended
) -> None:
    hole = Hole(prefix, suffix)
    for rule in RULES:
        kept, cut_by = trim(text, hole, ended, [rule])
        assert text.startswith(kept)
        assert bool(cut_by) == (kept != text)
        finished = Ended(ended.unfinished and not cut_by, ended.language)
        assert trim(kept, hole, finished, [rule]) == (kept, [])


@pytest.mark.parametrize(
    ("ids", "raw", "suffix", "limit", "expected"),
    [
        ([7] * 16, "x" * 16, "", True, "pad_loop"),
        ([1, 2, *[7] * 16], "ab", "", True, "pad_loop"),
        ([*[7] * 16, 1], "ab", "", True, None),
        ([7] * 15, "ab", "", True, None),
        ([7] * 16, "ab", "", False, None),
        ([1, 2], "a\n" + "  x = 1\n" * 4, "", True, "repetition"),
        ([1, 2], "a\n" + "  x = 1\n\n" * 4 + "  x ", "", True, "repetition"),
        ([1, 2], "  x = 1\n" * 4 + "y", "", True, None),
        ([1, 2], "  x = 1\n" * 3, "", True, None),
        ([1, 2], "\n" * 9, "", True, None),
        ([1, 2], "  x = 1\n" * 4, "", False, None),
        ([1, 2], "  return a\n\nprint()", "\n  return a\n\nprint()\n", False, "suffix_echo"),
        ([1, 2], "a = 1\n  return a\n", "\n  return a\n", False, "suffix_echo"),
        ([1, 2], "return a\nmore", "return a", True, "suffix_echo"),
        ([1, 2], "return ab", "return a", True, None),
        ([1, 2], "x = return a; y", "return a", True, None),
        ([1, 2], "})", "})", True, None),
        ([1, 2], "a = 1", "", True, None),
        ([], "", "", True, None),
    ],
)
def test_degenerate_middles(
    ids: list[int], raw: str, suffix: str, limit: bool, expected: str | None
) -> None:
    assert find_degenerate(ids, raw, suffix, reached_limit=limit) == expected
