"""Trim rules: how much of a finished middle to keep.

Each is a pure function of the middle, its hole and how it ended, and cuts at its end only. None is
on unless asked for, and the raw middle stays in the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from batchfim.formats.borders import Borders, telling_start
from batchfim.formats.syntax import syntax_end
from batchfim.records import Hole

TrimRule = Literal["suffix_overlap", "line", "syntax"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known of a middle beside its text.

    Attributes:
        unfinished: it stopped for its length alone, maybe inside a line.
        language: one of `languages.LANGUAGES`, or None.
    """

    unfinished: bool = False
    language: str | None = None


def overlap_start(text: str, hole: Hole, ended: Ended) -> int:
    """`suffix_overlap`: drop the longest end of the middle that the suffix starts with.

    Equal means equal: blanks count like any other character, none are skipped. An overlap counts
    from three characters that are not blank, one of them a letter, digit or underscore: a closing
    bracket before a closing bracket is mostly right.

    Source: Twinny's removeDuplicateText (which has no least length).
    """
    head = telling_start(hole.suffix[: len(text)])
    start = text.find(head) if head else -1
    while start >= 0:
        if hole.suffix.startswith(text[start:]):
            return start
        start = text.find(head, start + 1)
    return len(text)


def whole_lines(text: str, hole: Hole, ended: Ended) -> int:
    """`line`: keep whole lines: drop the last line of a middle that stopped for its length.

    The newline before it is kept only where the hole takes whole lines (`Borders`); a middle of one
    unfinished line is dropped altogether. A middle that ended by itself or by a stop rule has no
    unfinished line.
    """
    if not ended.unfinished:
        return len(text)
    newline = text.rfind("\n")
    return 0 if newline < 0 else Borders.of(hole).end_of_line(text, newline)


def parseable(text: str, hole: Hole, ended: Ended) -> int:
    """`syntax`: drop as little as possible so that the file has no syntax error of the middle's.

    What counts, and how the work is bounded: `syntax.py`. Without a known language nothing is cut.
    """
    if ended.language is None:
        return len(text)
    return syntax_end(text, hole.prefix, hole.suffix, ended.language)


RULES: dict[TrimRule, Callable[[str, Hole, Ended], int]] = {
    "suffix_overlap": overlap_start,
    "line": whole_lines,
    "syntax": parseable,
}


def trim(
    text: str, hole: Hole, ended: Ended, rules: Sequence[TrimRule]
) -> tuple[str, list[TrimRule]]:
    """The middle after all rules, one after the other, and the rules that cut it."""
    cut_by: list[TrimRule] = []
    for rule in rules:
        keep = RULES[rule](text, hole, ended)
        if keep < len(text):
            text, ended = text[:keep], Ended(unfinished=False, language=ended.language)
            cut_by.append(rule)
    return text, cut_by
