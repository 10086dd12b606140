"""Stop rules: end a middle before the model does.

A rule is a pure function from the text so far and the hole's borders to the position where the
middle ends, or None. Rules depend only on what further text cannot change, so a position once found
is final, no matter how often a rule is called while the middle grows. `ended` tells that no further
text will come. The rules are those of editors and benchmarks; none is on by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from batchfim.formats.borders import Borders
from batchfim.formats.rules import StopRule

_TAB = 8


def line_end(text: str, borders: Borders, ended: bool) -> int | None:
    """`line`: the end of the middle's first non-blank line.

    Blank lines before it are kept, so that `def f():` may be followed by a newline and its body; a
    middle of only blanks is not ended. The newline itself is kept only if the hole takes whole
    lines, like those of HumanEval-Infilling SingleLine (`Borders.whole_lines`).

    Source: the text before the first newline (llm-ls' `format_generations`, Tabby's
    `trimMultiLineInSingleLineMode`), the first non-empty line (Qwen's `humaneval_fim.py`).
    """
    begins = len(text) - len(text.lstrip())
    newline = text.find("\n", begins)
    return None if newline < 0 else borders.end_of_line(text, newline)


def block_end(text: str, borders: Borders, ended: bool) -> int | None:
    """`block`: before the first line indented less than the hole's line.

    The hole's line is the line in which the hole begins, including what was generated for it; if
    that is blank, the first non-blank line. If that line was complete before the hole (the middle
    begins with a newline) and the next line is indented more, the next line counts: the hole is the
    block that the line opens. Blank lines before the line that ends the block are dropped with it.
    Indentation is the width of spaces and tabs, where a tab extends to the next multiple of 8. The
    language is unknown, so text at the left margin of a multi-line string ends a block too.
    """
    opens = bool(borders.line_start.strip()) and not text.partition("\n")[0].strip()
    limit: int | None = None
    last_filled = 0
    for start, end, line in _lines(text):
        line = borders.line_start + line if start == 0 else line
        if not line.strip():
            continue
        width = _indentation(line)
        if limit is None:
            limit = width
        else:
            limit, opens = (max(limit, width) if opens else limit), False
            if width < limit:
                return borders.end_of_line(text, last_filled)
        last_filled = end
    return None


def repeat_start(text: str, borders: Borders, ended: bool) -> int | None:
    """`suffix_start`: before the first line that repeats the suffix's first line with text.

    The two must be equal, including indentation but not trailing blanks; blank lines before the
    repeated one are dropped with it. If the suffix continues the hole's line, a generated line that
    ends with the rest of that line is cut before the rest. A last line without a newline counts
    only when no further text will come, and a line that is entirely in the prefix never counts.
    Lines that are not distinctive (`borders.is_telling`) end nothing. If the hole takes whole
    lines, only whole lines count.

    Source: Continue's `streamTransforms`, stopAtLinesExact and stopAtStartOf.
    """
    wanted = borders.next_line
    last_filled = 0
    for start, end, line in _lines(text) if wanted else ():
        if end == len(text) and not ended:
            return None
        line = line.rstrip()
        if borders.goes_on and not borders.whole_lines and line.endswith(wanted):
            return start + len(line) - len(wanted)
        if wanted == (line if start or not line.strip() else borders.line_start + line):
            return borders.end_of_line(text, last_filled) if last_filled else 0
        last_filled = end if line else last_filled
    return None


RULES: dict[StopRule, Callable[[str, Borders, bool], int | None]] = {
    "line": line_end,
    "block": block_end,
    "suffix_start": repeat_start,
}


def find_end(
    text: str, borders: Borders, rules: Sequence[StopRule], *, ended: bool
) -> tuple[int, StopRule] | None:
    """The earliest end that any rule finds, and that rule; in a tie, the first in `rules`."""
    ends = [
        (end, rule)
        for rule in rules
        if rule in RULES and (end := RULES[rule](text, borders, ended)) is not None
    ]
    return min(ends, key=lambda found: found[0], default=None)


class StopCheck:
    """Receives one sample's tokens one by one and returns whether the rules end its middle.

    A newline, or the first character after one, decides every rule, so the text is decoded only
    there, about twice per line.
    """

    def __init__(
        self,
        rules: Sequence[StopRule],
        borders: Borders,
        decode: Callable[[Sequence[int]], str],
        has_newline: Callable[[int], bool],
    ) -> None:
        self._rules = rules
        self._borders = borders
        self._decode = decode
        self._has_newline = has_newline
        self._token_ids: list[int] = []
        self._at_line_start = False

    def __call__(self, token_id: int) -> bool:
        self._token_ids.append(token_id)
        if not self._at_line_start and not self._has_newline(token_id):
            return False
        # A character that spans several tokens is incomplete until its last one.
        text = self._decode(self._token_ids).rstrip("\ufffd")
        self._at_line_start = not text.rpartition("\n")[2].strip()
        return find_end(text, self._borders, self._rules, ended=False) is not None


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end (the position of its newline, or the end of text) and text of each line."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line), line
        start += len(line) + 1


def _indentation(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(_TAB))
