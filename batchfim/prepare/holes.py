"""Cut holes into text: pure functions from text and a random generator to character offsets.

Borders follow openai/human-eval-infilling: a hole of whole lines includes their indentation, and
`multi_line` also includes the last line's newline. Unlike SingleLine there, `line` leaves its
newline in the suffix.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import StrEnum

MAX_LINES = 8
MAX_SPAN = 256

# Unlike str.splitlines: form feeds and U+2028 are text in source code, not line ends.
_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
# A heuristic, since the language is unknown; `#include` and `#[derive]` are code, `# so` is not.
_COMMENT = re.compile(r"\s*(?:#(?:[\s!#]|$)|//|/\*|\*(?:[\s/]|$))")
_WORD = re.compile(r"\w")


class Kind(StrEnum):
    LINE = "line"
    HALF_LINE = "half_line"
    MULTI_LINE = "multi_line"
    RANDOM_SPAN = "random_span"


@dataclass(frozen=True, slots=True)
class Hole:
    """`text[start:end]` is the middle; offsets count characters, not bytes."""

    start: int
    end: int


def cut(text: str, kind: Kind, rng: random.Random) -> Hole | None:
    """Draw one hole; None if the text has no place for this kind.

    line         one line with code, indentation included, newline not
    half_line    from a random non-space character of such a line to its end, newline not
    multi_line   2 to MAX_LINES lines with the last newline; the first has code, the last is not
                 blank
    random_span  1 to MAX_SPAN characters around a random non-space one; may cross lines

    A line has code if it has a letter, digit or underscore and does not start like a comment.
    A hole is never empty or blank, never includes a byte order mark and never splits a CRLF.
    """
    lines = list(_LINE.finditer(text, _after_bom(text)))
    with_code = [number for number, line in enumerate(lines) if _has_code(line[1])]
    if not with_code:
        return None
    if kind is Kind.MULTI_LINE:
        return _cut_lines(lines, with_code, rng)
    line = lines[rng.choice(with_code)]
    if kind is Kind.LINE:
        return Hole(line.start(), line.end(1))
    if kind is Kind.HALF_LINE:
        return Hole(_random_mark(line, rng), line.end(1))
    return _cut_span(text, _random_mark(line, rng), rng)


def _cut_lines(lines: list[re.Match[str]], with_code: list[int], rng: random.Random) -> Hole | None:
    filled = [bool(line[1].strip()) for line in lines]
    pairs = [
        (first, last)
        for first in with_code
        for last in range(first + 1, min(first + MAX_LINES, len(lines)))
        if filled[last]
    ]
    if not pairs:
        return None
    first, last = rng.choice(pairs)
    return Hole(lines[first].start(), lines[last].end())


def _cut_span(text: str, mark: int, rng: random.Random) -> Hole:
    low, high = _after_bom(text), len(text)
    length = rng.randint(1, min(MAX_SPAN, high - low))
    start = rng.randint(max(low, mark - length + 1), min(mark, high - length))
    end = start + length
    return Hole(start - _splits_crlf(text, start), end + _splits_crlf(text, end))


def _random_mark(line: re.Match[str], rng: random.Random) -> int:
    """Offset of a random non-space character of the line."""
    return rng.choice([at for at, char in enumerate(line[1], line.start()) if not char.isspace()])


def _has_code(line: str) -> bool:
    return _WORD.search(line) is not None and _COMMENT.match(line) is None


def _after_bom(text: str) -> int:
    return int(text.startswith("\ufeff"))


def _splits_crlf(text: str, at: int) -> bool:
    return text[at - 1 : at + 1] == "\r\n"
