"""Where to cut a hole into a file: pure functions from text and a random generator to a hole.

A hole is a range of characters, never of tokens, because the product's records are split at
characters too: the model has to see middles that start inside what would have been one token.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from random import Random

MAX_HOLE_LINES = 6
MAX_SPAN_CHARS = 160
MAX_LINE_CHARS = 160


class HoleKind(enum.StrEnum):
    """What part of a file is missing."""

    LINE = "line"
    """A whole line with its indentation, without its line break."""
    HALF_LINE = "half_line"
    """From a random character inside a line's content to the end of that line."""
    MULTI_LINE = "multi_line"
    """Two to `MAX_HOLE_LINES` whole lines, without the last line break."""
    RANDOM_SPAN = "random_span"
    """Any range of up to `MAX_SPAN_CHARS` characters."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Characters `start` to `end` of a file are the middle."""

    kind: HoleKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One source file and, for speed, the character ranges of its lines that are not blank."""

    path: str
    text: str
    line_spans: tuple[tuple[int, int], ...]

    @classmethod
    def from_text(cls, path: str, text: str) -> Document:
        """Index `text`; lines longer than `MAX_LINE_CHARS` are tables and get no hole."""
        spans: list[tuple[int, int]] = []
        start = 0
        for line in text.split("\n"):
            if line.strip() and len(line) <= MAX_LINE_CHARS:
                spans.append((start, start + len(line)))
            start += len(line) + 1
        return cls(path, text, tuple(spans))


def choose_hole(document: Document, kind: HoleKind, rng: Random) -> Hole:
    """A random hole of `kind`; every line that is not blank is as likely as any other."""
    if kind is HoleKind.RANDOM_SPAN:
        return _random_span(document.text, rng)
    index = rng.randrange(len(document.line_spans))
    start, end = document.line_spans[index]
    if kind is HoleKind.HALF_LINE:
        start = _inside_content(document.text, start, end, rng)
    elif kind is HoleKind.MULTI_LINE:
        last = min(index + rng.randint(1, MAX_HOLE_LINES - 1), len(document.line_spans) - 1)
        end = document.line_spans[last][1]
    return Hole(kind, start, end)


def _inside_content(text: str, start: int, end: int, rng: Random) -> int:
    """A cut after the first and before the last character that is not white space."""
    line = text[start:end]
    first = start + len(line) - len(line.lstrip())
    last = start + len(line.rstrip()) - 1
    return rng.randint(min(first + 1, last), last)


def _random_span(text: str, rng: Random) -> Hole:
    """Short spans are likelier: the length is uniform on a logarithmic scale."""
    length = round(MAX_SPAN_CHARS ** rng.random())
    start = rng.randrange(max(1, len(text) - length))
    return Hole(HoleKind.RANDOM_SPAN, start, min(len(text), start + length))
