"""The longest start of a middle with which the file has the fewest syntax errors.

An error is an ERROR or MISSING node of the file's tree. What the prefix and the suffix have of
their own (a cut context, another dialect) no cut of the middle can mend, and that number is not
known beforehand; so the fewest errors that any cut leaves are taken for theirs, and any more are
the middle's. The least is removed that leaves those.

Work is bounded, by sizes and not by time, so that a record's row does not depend on the machine.
Files above 128 KiB are left alone. Cuts tried: none of the middle; the ends of its last 64 words (a
word, a run of blanks, a line end or one other character); further up, the last 64 ends of lines,
before and after their newline. Above 32 KiB fewer of both, so that cuts times bytes stay below
4 MiB. The file is parsed once from the start and then only where it changed.
"""

from __future__ import annotations

import re

from tree_sitter import Parser, Point, Tree, TreeCursor

from batchfim.formats.languages import grammar

MAX_FILE_BYTES = 1 << 17
_MAX_WORK_BYTES = 1 << 22
_MAX_CUTS = 128
_WORD = re.compile(r"\w+|\r?\n|[^\S\r\n]+|\W")


def syntax_end(text: str, prefix: str, suffix: str, language: str) -> int:
    """Characters of `text` to keep; all of it where no cut leaves fewer errors."""
    before, after = _bytes(prefix), _bytes(suffix)
    num_bytes = len(before) + len(_bytes(text)) + len(after)
    if not text or num_bytes > MAX_FILE_BYTES:
        return len(text)
    file = _File(before, text, after, language)
    whole = best_errors = file.errors(len(text))
    best = len(text)
    for end in cuts(text, min(_MAX_CUTS, _MAX_WORK_BYTES // num_bytes)):
        if best_errors == 0:
            break
        errors = file.errors(end)
        if errors < best_errors:
            best, best_errors = end, errors
    # Reused parts of a broken tree may hide or add errors: a cut is made for what a parse from
    # the start finds.
    if best < len(text) and _File(before, text[:best], after, language).errors(best) >= whole:
        return len(text)
    return best


def cuts(text: str, at_most: int) -> list[int]:
    """Places where a text (not empty) may end, the longest first, the whole not among them.

    Half of them are for words, half for line ends further up; cutting everything comes on top.
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
    """A file whose middle gets shorter; each tree is made from the one before."""

    def __init__(self, before: bytes, text: str, after: bytes, language: str) -> None:
        self._parser = Parser(grammar(language))
        self._before, self._text, self._after = before, text, after
        self._start = _point(before, Point(0, 0))
        self._tree: Tree | None = None
        self._end = 0, self._start

    def errors(self, end: int) -> int:
        """Errors of the file with the first `end` characters of the middle."""
        middle = _bytes(self._text[:end])
        new_end = len(self._before) + len(middle), _point(middle, self._start)
        if self._tree is not None:
            old_end = self._end
            self._tree.edit(new_end[0], old_end[0], new_end[0], new_end[1], old_end[1], new_end[1])
        source = self._before + middle + self._after
        tree = self._parser.parse(source, self._tree) if self._tree else self._parser.parse(source)
        self._tree, self._end = tree, new_end
        return _count(tree.walk())


def _count(cursor: TreeCursor) -> int:
    """ERROR and MISSING nodes; subtrees without any are not entered."""
    errors = 0
    while True:
        node = cursor.node
        assert node is not None
        errors += node.is_error or node.is_missing
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return errors


def _point(text: bytes, start: Point) -> Point:
    """Row and column (in bytes) after `text`."""
    rows = text.count(b"\n")
    column = len(text) - text.rfind(b"\n") - 1
    return Point(start.row + rows, column if rows else start.column + len(text))


def _bytes(text: str) -> bytes:
    return text.encode("utf8", "surrogatepass")
