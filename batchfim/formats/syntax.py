"""Find the longest start of a middle with which the file has the fewest syntax errors.

An error is an ERROR or MISSING node of the file's tree. The longest cut that leaves no error is
taken. If there is none, the record has errors of its own (it is a window of a file, or another
dialect). Errors that end before the hole are ignored. The number of errors in the suffix is taken
to be the smallest number that any cut leaves besides those, and the longest cut with that number is
taken. Dropping the whole middle is not considered then, since errors in a file without its middle
say nothing about the middle.

Work is bounded by counts rather than time, so that a record's row does not depend on the machine.
Files above 128 KiB are left alone. The cuts tried are: no middle at all; the ends of its last 64
words (a word, a run of blanks, a line end or one other character); further up, the last 64 line
ends, before and after their newline. The file is parsed once from the start, then only where it
changed, all within 8192 steps of the parser (about 100 of its operations each; 100 kB of clean
Python take 500, each cut 20 to 60 more). When they are used up, the best cut so far is taken: a
file full of errors, maybe in another language, would take a minute, but so takes a second or two.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tree_sitter import Parser, Point, Tree, TreeCursor

from batchfim.formats.languages import grammar

MAX_FILE_BYTES = 1 << 17
MAX_CUTS = 128
_MAX_STEPS = 1 << 13
_CHUNK_BYTES = 1 << 14
_WORD = re.compile(r"\w+|\r?\n|[^\S\r\n]+|\W")


class Errors(NamedTuple):
    """Numbers of errors in a file: those that do not end before the hole, and all."""

    beyond: int
    total: int


def syntax_end(text: str, prefix: str, suffix: str, language: str) -> int:
    """Number of characters of `text` to keep, which is all of it if no cut is better."""
    before, after = _bytes(prefix), _bytes(suffix)
    if not text or len(before) + len(_bytes(text)) + len(after) > MAX_FILE_BYTES:
        return len(text)
    file = _File(before, text, after, language)
    whole = file.errors(len(text))
    if whole is None or whole.total == 0:
        return len(text)
    end = _best_cut(file, text, whole)
    # Reused parts of a broken tree may hide or add errors, so parse again from the start before
    # cutting.
    proof = _File(before, text[:end], after, language).errors(end)
    better = proof and (proof.total == 0 or proof.beyond < whole.beyond)
    return end if proof and better and proof.total <= whole.total else len(text)


def num_errors(text: str, prefix: str, suffix: str, language: str) -> int | None:
    """Number of syntax errors in the whole file; None if it is too large or has too many."""
    before, after = _bytes(prefix), _bytes(suffix)
    if len(before) + len(_bytes(text)) + len(after) > MAX_FILE_BYTES:
        return None
    found = _File(before, text, after, language).errors(len(text))
    return None if found is None else found.total


def _best_cut(file: _File, text: str, whole: Errors) -> int:
    best, fewest = len(text), whole.beyond
    for end in cuts(text, MAX_CUTS):
        errors = file.errors(end)
        if errors is None:
            break
        if errors.total == 0:
            return end
        if errors.beyond < fewest and end > 0:
            best, fewest = end, errors.beyond
    return best


def cuts(text: str, at_most: int) -> list[int]:
    """Positions where a non-empty text may be cut, the longest first, without its own end.

    Half of them are for words, half for line ends further up; position 0 comes in addition.
    """
    ends = [match.end() for match in _WORD.finditer(text)][:-1]
    words = ends[-(at_most // 2) :]
    lines = [
        end
        for end in ends[: len(ends) - len(words)]
        if text[end - 1] == "\n" or text[end] in "\r\n"
    ]
    return [*reversed(words), *reversed(lines[-(at_most // 2) :]), 0]


class _File:
    """A file whose middle gets shorter; each parse reuses the previous tree."""

    def __init__(self, before: bytes, text: str, after: bytes, language: str) -> None:
        self._parser = Parser(grammar(language))
        self._before, self._text, self._after = before, text, after
        self._start = _point(before, Point(0, 0))
        self._tree: Tree | None = None
        self._end = 0, self._start
        self._steps = 0

    def errors(self, end: int) -> Errors | None:
        """Errors with the first `end` characters of the middle; None if the steps are used up."""
        middle = _bytes(self._text[:end])
        new_end = len(self._before) + len(middle), _point(middle, self._start)
        if self._tree is not None:
            old_end = self._end
            self._tree.edit(new_end[0], old_end[0], new_end[0], new_end[1], old_end[1], new_end[1])
        tree = self._parse(self._before + middle + self._after)
        if tree is None:
            return None
        self._tree, self._end = tree, new_end
        spans = _error_spans(tree.walk())
        hole = len(self._before)
        return Errors(sum(end > hole or start == hole for start, end in spans), len(spans))

    def _parse(self, source: bytes) -> Tree | None:
        def read(offset: int, point: Point) -> bytes:
            return source[offset : offset + _CHUNK_BYTES]

        def is_enough(offset: int, has_error: bool) -> bool:
            self._steps += 1
            return self._steps > _MAX_STEPS

        try:
            if self._tree is None:
                return self._parser.parse(read, progress_callback=is_enough)
            return self._parser.parse(read, self._tree, progress_callback=is_enough)
        except ValueError:  # the only sign that the callback ended the parse
            return None


def _error_spans(cursor: TreeCursor) -> list[tuple[int, int]]:
    """Start and end of each ERROR and MISSING node; subtrees without any are skipped."""
    spans = []
    while True:
        node = cursor.node
        assert node is not None
        if node.is_error or node.is_missing:
            spans.append((node.start_byte, node.end_byte))
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return spans


def _point(text: bytes, start: Point) -> Point:
    """Row and column (in bytes) of the end of `text`."""
    rows = text.count(b"\n")
    column = len(text) - text.rfind(b"\n") - 1
    return Point(start.row + rows, column if rows else start.column + len(text))


def _bytes(text: str) -> bytes:
    return text.encode("utf8", "surrogatepass")
