"""Where each stop rule ends a middle, and that more text never changes the answer."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.borders import Borders, is_telling, telling_start
from batchfim.formats.rules import StopRule
from batchfim.formats.stopping import RULES, StopCheck, block_end, find_end
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.records import Hole
from tests.formats.test_formats_custom import OWN, mistral  # noqa: F401
from tests.shared import shared_data

ALL: tuple[StopRule, ...] = ("eot", "line", "block", "suffix_start")
# Few characters, so that lines repeat, dedent and touch each other often.
TEXTS = st.text(st.sampled_from("ab1 \t\n\r}é\u3000"), max_size=40)
BODY = "def f(x):\n    "


def middle(rule: StopRule, text: str, prefix: str, suffix: str) -> str | None:
    """What a rule leaves of a text that is complete; None: it does not end it."""
    found = find_end(text, Borders.of(Hole(prefix, suffix)), [rule], ended=True)
    assert found is None or found[1] == rule
    return None if found is None else text[: found[0]]


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("x + 1\n    y", "    return ", "\n", "x + 1"),
        ("x + 1", "    return ", "\n", None),
        ("x\r\ny", "a = ", "\r\n", "x"),
        ("\n    return 1\n\nb", "def f():", "\n", "\n    return 1"),  # blank lines first
        ("\n \n", "def f():", "\n", None),
        ("    return x\n    z\n", "def f(x):\n", "\nprint()\n", "    return x"),
        # As in HumanEval-Infilling SingleLine: whole lines, so with their newline.
        ("    return x\n    z\n", "def f(x):\n", "    pass\n", "    return x\n"),
        ("    return x\r\n    z\n", "def f(x):\n", "    pass\n", "    return x\r\n"),
        ("import a\nimport b\n", "", "import c\n", "import a\n"),
        ("x\ny", "f(", ")\n", "x"),
        ("    x\n    y", "f(\n", "", "    x"),
    ],
)
def test_line(text: str, prefix: str, suffix: str, expected: str | None) -> None:
    assert middle("line", text, prefix, suffix) == expected


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("y = 1\n    return y\n\n\ndef g():", BODY, "\n", "y = 1\n    return y"),
        ("y = 1\n    return y\n\n\n    z\n", BODY, "\n", None),
        ("y = 1\n  ", BODY, "\n", None),  # an indentation alone may still grow
        ("\n    return 1\n\ndef g():", "def f():", "\n", "\n    return 1"),  # the block it opens
        ("\nx = 1\ny = 2\n", "a = 1", "\n", None),  # opens nothing, and 0 is the least
        ("\nfoo()\n", "    if a:", "\n", ""),
        ("    a\n        b\n    c\n}\n", "void f() {\n", "}\n", "    a\n        b\n    c\n"),
        ("    a\n}\n", "void f() {\n", "\n}\n", "    a"),
        ("\ta\n        b\n  c", "{\n", "\n}\n", "\ta\n        b"),  # a tab is eight wide
        ("a,\n        b)\n    c\nd", "    f(", "\n", "a,\n        b)\n    c"),
        ("a\r\n\r\nb", "    ", "\r\n", "a"),
        ("a\n\u3000\n    b", "    ", "\n", None),  # a blank of another script is blank
    ],
)
def test_block(text: str, prefix: str, suffix: str, expected: str | None) -> None:
    assert middle("block", text, prefix, suffix) == expected


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("y = 1\n    return y\n", BODY, "\n    return y\n", "y = 1"),
        ("y = 1\n\n    return y", BODY, "\n\n    return y\n", "y = 1"),
        ("y = 1\n        return y\n", BODY, "\n    return y\n", None),  # another indentation
        ("y = 1\n    return yes\n", BODY, "\n    return y\n", None),
        ("return y", BODY, "\n    return y\n", ""),  # the hole's own line
        ("\n    z = 2\n", BODY + "return y", "\n    return y\n", None),  # the prefix's line
        ("\n    z = 2\n    return y\n", BODY + "return y", "\n    return y\n", "\n    z = 2"),
        ("    y = 1\n    return y\n", "def f():\n", "    return y\n", "    y = 1\n"),
        ("y = 1\n    return y\n", BODY, "return y\n", "y = 1\n    "),
        ("a, b=c)\n", "f(", ", b=c)\n", "a"),
        ("a, b=c)", "f(", ", b=c)\n", "a"),
        ("a, b=c) + 1\n", "f(", ", b=c)\n", None),
        ("result = main()\nexit(result)\n", "import sys\n", "main()\n", None),  # whole lines
        ("x\n}\n}\n", "{\n{\n", "\n}\n}\n", None),  # brackets tell nothing
        ("x\n", BODY, "", None),
        ("x\n", BODY, "  \n\n", None),
        ("x  \r\nend()  \r\n", "", "\r\nend()\r\n", "x  "),
    ],
)
def test_suffix_start(text: str, prefix: str, suffix: str, expected: str | None) -> None:
    assert middle("suffix_start", text, prefix, suffix) == expected


def test_an_unfinished_last_line_may_still_become_another() -> None:
    borders = Borders.of(Hole(BODY, "\n    return y\n"))
    text = "a\n    return y"
    assert find_end(text, borders, ALL[3:], ended=False) is None
    assert find_end(text + "z\n", borders, ALL[3:], ended=False) is None
    assert find_end(text + "\n", borders, ALL[3:], ended=False) == (1, "suffix_start")


def test_the_earliest_end_counts_and_then_the_order_given() -> None:
    borders = Borders.of(Hole(BODY, "\nprint(f)\n"))
    text = "a = 1\nprint(f)\n"
    assert find_end(text, borders, ALL, ended=True) == (5, "line")
    assert find_end(text, borders, ["suffix_start", "block"], ended=True) == (5, "suffix_start")
    assert find_end("a\n    b\nprint(f)\n", borders, ["block", "line"], ended=True) == (1, "line")
    assert find_end(text, borders, ["eot"], ended=True) is None


def test_what_tells() -> None:
    assert [is_telling(text) for text in ("x=1", " a b\nc", "end")] == [True] * 3
    assert [is_telling(text) for text in ("", "x)", "});\n}", "a b", "\n\n\n")] == [False] * 5
    assert telling_start("\n  });x = 1") == "\n  });x"
    assert telling_start("abcdef") == "abc"


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, prefix=TEXTS, suffix=TEXTS, cut=st.integers(0, 40))
def test_more_text_never_changes_an_end(text: str, prefix: str, suffix: str, cut: int) -> None:
    borders = Borders.of(Hole(prefix, suffix))
    for rule in RULES:
        early = RULES[rule](text[:cut], borders, False)
        if early is not None:
            assert RULES[rule](text, borders, False) == early
            assert RULES[rule](text, borders, True) == early
            assert early <= cut


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, prefix=TEXTS, suffix=TEXTS)
def test_a_check_ends_where_asking_after_each_token_would(
    tiny: TextTokenizer, text: str, prefix: str, suffix: str
) -> None:
    """One token a byte: characters of several bytes come in pieces."""
    borders = Borders.of(Hole(prefix, suffix))
    (ids,) = tiny.encode([text])
    check = StopCheck(ALL, borders, tiny.decode, lambda i: tiny.decode([i]) == "\n")
    for count, token_id in enumerate(ids, 1):
        so_far = tiny.decode(ids[:count]).rstrip("\ufffd")
        expected = find_end(so_far, borders, ALL, ended=False) is not None
        assert check(token_id) == expected
        if expected:
            break


def test_a_blank_of_several_tokens_is_no_text_before_its_last_one(tiny: TextTokenizer) -> None:
    borders = Borders.of(Hole(BODY, "\n"))
    (ids,) = tiny.encode(["a\n\u3000\n    b\n\u3000\nc"])
    check = StopCheck(["block"], borders, tiny.decode, lambda i: tiny.decode([i]) == "\n")
    assert [check(token_id) for token_id in ids] == [False] * (len(ids) - 1) + [True]


@settings(deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_cut_text_fits_its_hole_as_lines(before: str, after: str) -> None:
    """A line cut by `line` and its suffix are never joined, nor parted by a line too many."""
    hole = Hole(before + "\n", after)
    text = "    x = 1\n    y = 2\n"
    kept = middle("line", text, hole.prefix, hole.suffix)
    starts_line = after[:1] not in ("", "\n", "\r")
    assert kept == ("    x = 1\n" if starts_line else "    x = 1")


def test_line_is_what_single_line_infilling_asks_for() -> None:
    """A middle that ran on into the suffix ends as published, up to a newline the suffix brings."""
    path = shared_data("humaneval-infilling/HumanEval-SingleLineInfilling.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf8") as lines:
        tasks = [json.loads(line) for line in lines]
    assert len(tasks) == 1033
    for task in tasks:
        prefix, suffix, wanted = task["prompt"], task["suffix"], task["canonical_solution"]
        ran_on = f"{wanted}{suffix}\n\ndef other():\n"
        wanted = wanted if suffix.lstrip("\n") == suffix != "" else wanted.removesuffix("\n")
        assert middle("line", ran_on, prefix, suffix) == wanted


def test_a_block_that_the_holes_line_opens_may_open_others() -> None:
    text = "\n        if a:\n            b\n        c\n    d"
    borders = Borders.of(Hole("    def f():", "\n"))
    assert block_end(text, borders, True) == text.index("\n    d")
