"""Prepare records' texts for a page: invisible characters become escapes; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape
from rapidfuzz.distance import Indel

from batchfim.terminal import printable

_LINE_ENDS_AND_TABS = frozenset("\n\t")
_PIECES = re.compile(r"\w+|\s|[^\w\s]")
_MOST_COMPARED = 4000  # characters


@dataclass(frozen=True)
class Change:
    """A piece of a comparison: `same`, `insert` (only in the middle) or `delete`."""

    kind: str
    text: str


def visible(text: str) -> Markup:
    """A text as escaped HTML, with control and format characters (bidirectional ones) visible."""
    return Markup().join(_shown(character) for character in text)


def _shown(character: str) -> Markup:
    if character in _LINE_ENDS_AND_TABS or (code := printable(character)) == character:
        return escape(character)
    return Markup('<span class="unseen">{}</span>').format(code)


def changes(reference: str, middle: str) -> list[Change]:
    """The changes that turn the reference into the middle, word by word."""
    old, new = (_PIECES.findall(text[:_MOST_COMPARED]) for text in (reference, middle))
    return list(_changes(old, new))


def _changes(old: list[str], new: list[str]) -> Iterator[Change]:
    """Join changes that only shared white space separates, since it does not mean they agree."""
    gone, come = "", ""
    for step in Indel.opcodes(old, new):
        before = "".join(old[step.src_start : step.src_end])
        after = "".join(new[step.dest_start : step.dest_end])
        if step.tag != "equal" or before.isspace():
            gone, come = gone + before, come + after
            continue
        yield from _change(gone, come)
        yield Change("same", after)
        gone, come = "", ""
    yield from _change(gone, come)


def _change(gone: str, come: str) -> Iterator[Change]:
    if gone == come:
        yield from [Change("same", gone)] if gone else ()
        return
    if gone:
        yield Change("delete", gone)
    if come:
        yield Change("insert", come)


def tail(text: str, most: int, lines: int) -> str:
    """The last `lines` lines of a text, at most `most` characters."""
    cut = "\n".join(text[-most:].split("\n")[-lines:])
    return text if cut == text else "…" + cut


def head(text: str, most: int, lines: int) -> str:
    """The first `lines` lines of a text, at most `most` characters."""
    cut = "\n".join(text[:most].split("\n")[:lines])
    return text if cut == text else cut + "…"
