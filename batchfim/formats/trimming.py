"""Trim rules: decide how much of a finished middle to keep.

Each is a pure function of the middle, its hole and how it ended, and cuts only at the end. None is
on by default, and the raw middle stays in the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchfim.formats.borders import Borders, telling_start
from batchfim.formats.rules import TrimRule
from batchfim.formats.syntax import syntax_end
from batchfim.records import Hole


@dataclass(frozen=True, slots=True)
class Ended:
    """How a middle ended, and its language.

    Attributes:
        unfinished: whether only its length limit stopped it, maybe inside a line.
        language: one of `languages.LANGUAGES`, or None.
    """

    unfinished: bool = False
    language: str | None = None


def overlap_start(text: str, hole: Hole, ended: Ended) -> int:
    """`suffix_overlap`: drop the longest end of the middle that the suffix starts with.

    The comparison is exact, blanks included. An overlap needs at least three non-blank characters,
    one of them a letter, digit or underscore, since a closing bracket before a closing bracket is
    usually correct.

    Source: Twinny's removeDuplicateText (which has no minimum length).
    """
    head = telling_start(hole.suffix[: len(text)])
    start = text.find(head) if head else -1
    while start >= 0:
        if hole.suffix.startswith(text[start:]):
            return start
        start = text.find(head, start + 1)
    return len(text)


def whole_lines(text: str, hole: Hole, ended: Ended) -> int:
    """`line`: keep whole lines, dropping the last line of a middle stopped by its length limit.

    The newline before it is kept only if the hole takes whole lines (`Borders`); a middle of a
    single unfinished line is dropped entirely. A middle that ended by itself or by a stop rule has
    no unfinished line.
    """
    if not ended.unfinished:
        return len(text)
    newline = text.rfind("\n")
    return 0 if newline < 0 else Borders.of(hole).end_of_line(text, newline)


def parseable(text: str, hole: Hole, ended: Ended) -> int:
    """`syntax`: drop as little as possible so that the middle causes no syntax error in the file.

    `syntax.py` describes what counts and how work is bounded. If the language is unknown, nothing
    is cut.
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
    """The middle after applying all rules in order, and the rules that cut it."""
    cut_by: list[TrimRule] = []
    for rule in rules:
        keep = RULES[rule](text, hole, ended)
        if keep < len(text):
            text, ended = text[:keep], Ended(unfinished=False, language=ended.language)
            cut_by.append(rule)
    return text, cut_by
