"""Where holes lie, and that cutting never changes a byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.prepare.holes import MAX_LINES, MAX_SPAN, Hole, Kind, cut

CODE = "import os\n\n\ndef f(x):\n    # why\n    return os.path.join(x)  \n}\n"
KINDS = st.sampled_from(Kind)
SEEDS = st.integers(0, 2**32)
# Pieces, not characters, so that line ends, marks and wide characters meet often.
PIECES = [
    "a",
    "_x = 1",
    " ",
    "\t",
    "é",
    "名",
    "😀",
    "\n",
    "\r\n",
    "\r",
    "\x0c",
    "\u2028",
    "# c",
    "}",
]
TEXTS = st.builds(
    lambda bom, pieces: bom + "".join(pieces),
    st.sampled_from(["", "\ufeff"]),
    st.lists(st.sampled_from(PIECES), max_size=30),
)


def every_hole(text: str, kind: Kind) -> set[str]:
    holes = (cut(text, kind, random.Random(seed)) for seed in range(300))
    return {text[hole.start : hole.end] for hole in holes if hole}


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS | st.text(), KINDS, SEEDS)
def test_pieces_make_the_file_byte_for_byte(text: str, kind: Kind, seed: int) -> None:
    hole = cut(text, kind, random.Random(seed))
    if hole is None:
        return
    assert 0 <= hole.start < hole.end <= len(text)
    pieces = (text[: hole.start], text[hole.start : hole.end], text[hole.end :])
    assert b"".join(piece.encode() for piece in pieces) == text.encode()


@settings(deadline=None)
@given(TEXTS, KINDS, SEEDS)
def test_a_hole_has_code_keeps_the_mark_and_keeps_crlf_whole(
    text: str, kind: Kind, seed: int
) -> None:
    hole = cut(text, kind, random.Random(seed))
    if hole is None:
        return
    middle = text[hole.start : hole.end]
    assert middle.strip()
    assert not middle.startswith("\ufeff")
    for border in (hole.start, hole.end):
        assert text[border - 1 : border + 1] != "\r\n"


@settings(deadline=None)
@given(TEXTS, SEEDS)
def test_line_and_half_line_stay_in_one_line_and_reach_its_end(text: str, seed: int) -> None:
    for kind in (Kind.LINE, Kind.HALF_LINE):
        hole = cut(text, kind, random.Random(seed))
        if hole is None:
            continue
        assert not set("\r\n") & set(text[hole.start : hole.end])
        assert text[hole.end : hole.end + 1] in ("", "\r", "\n")
        if kind is Kind.LINE:
            assert text[: hole.start].removeprefix("\ufeff")[-1:] in ("", "\r", "\n")


@settings(deadline=None)
@given(TEXTS, SEEDS)
def test_multi_line_is_whole_lines_with_the_last_newline(text: str, seed: int) -> None:
    hole = cut(text, Kind.MULTI_LINE, random.Random(seed))
    if hole is None:
        return
    middle = text[hole.start : hole.end]
    lines = middle.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    assert 2 <= len(lines) <= MAX_LINES
    assert lines[0].strip()
    assert lines[-1].strip()
    assert text[: hole.start].removeprefix("\ufeff")[-1:] in ("", "\r", "\n")
    assert middle[-1] in "\r\n" or hole.end == len(text)


def test_line_takes_the_indentation_and_passes_over_blank_comment_and_brace_lines() -> None:
    assert every_hole(CODE, Kind.LINE) == {
        "import os",
        "def f(x):",
        "    return os.path.join(x)  ",
    }


def test_half_line_starts_at_any_mark_of_the_line() -> None:
    assert every_hole("  a b\n", Kind.HALF_LINE) == {"a b", "b"}


def test_multi_line_finds_every_pair_of_lines() -> None:
    assert every_hole("a\n\nb\r\n}\n", Kind.MULTI_LINE) == {
        "a\n\nb\r\n",
        "a\n\nb\r\n}\n",
        "b\r\n}\n",
    }


def test_multi_line_has_up_to_the_most_lines() -> None:
    counts = {hole.count("\n") for hole in every_hole("a\n" * 20, Kind.MULTI_LINE)}
    assert counts == set(range(2, MAX_LINES + 1))


def test_random_span_leaves_the_mark_and_takes_crlf_whole() -> None:
    assert every_hole("\ufeffa\r\nb", Kind.RANDOM_SPAN) == {
        "a",
        "a\r\n",
        "a\r\nb",
        "\r\nb",
        "b",
    }


def test_random_span_crosses_lines_and_is_bounded() -> None:
    spans = every_hole("value = 1\n" * 200, Kind.RANDOM_SPAN)
    assert any("\n" in span for span in spans)
    assert any("\n" not in span for span in spans)
    assert max(map(len, spans)) <= MAX_SPAN
    assert max(map(len, spans)) > MAX_SPAN // 2


@pytest.mark.parametrize("line", ["#include <x>", "#[derive(Debug)]", "*p = 1;", "x", "名 = 1"])
def test_these_lines_are_code(line: str) -> None:
    assert cut(line, Kind.LINE, random.Random(0)) == Hole(0, len(line))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "text", ["", "\ufeff", "\n\n", " \t\r\n", "}\n);\n", "# a\n  // b\n /* c\n * d\n"]
)
def test_text_without_code_gives_no_hole(text: str, kind: Kind) -> None:
    assert cut(text, kind, random.Random(0)) is None


def test_one_line_gives_no_multi_line() -> None:
    assert cut("x = 1\n\n", Kind.MULTI_LINE, random.Random(0)) is None
