"""Stop rules: where a middle ends before the model says so.

A rule is a pure function of the text so far and the hole's borders: the place where the middle
ends, or None. Rules look only at what more text cannot change, so an answer once given stays:
it does not matter how often a rule is asked while the middle grows. `ended` says that no more text
will come. They are what editors and benchmarks do; none is on unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from batchfim.formats.borders import Borders

StopRule = Literal["eot", "line", "block", "suffix_start"]
_TAB = 8


def line_end(text: str, borders: Borders, ended: bool) -> int | None:
    """`line`: the end of the middle's first line that is not blank.

    Blank lines before it stay, so that `def f():` may be followed by a newline and its body; a
    middle of blanks alone is not ended. The newline itself is kept only where the hole takes whole
    lines, as those of HumanEval-Infilling SingleLine do (`Borders.whole_lines`).

    Source: the text before the first newline (llm-ls' `format_generations`, Tabby's
    `trimMultiLineInSingleLineMode`), the first line that is not empty (Qwen's `humaneval_fim.py`).
    """
    begins = len(text) - len(text.lstrip())
    newline = text.find("\n", begins)
    return None if newline < 0 else borders.end_of_line(text, newline)


def block_end(text: str, borders: Borders, ended: bool) -> int | None:
    """`block`: before the first line indented less than the hole's line.

    The hole's line is the line the hole begins in, with what was generated for it; where both are
    blank, the first line that is not. Where that line was complete before the hole (the middle
    begins with a newline) and the next is indented deeper, the deeper one counts: the hole is the
    block that line opens. Blank lines before the line that ends the block go with it. Indentation
    is the width of spaces and tabs, a tab reaching to the next multiple of 8; no language is
    known, so text at the left margin of a multi-line string ends a block too.
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

    The two are equal, indentation included, trailing blanks aside; blank lines before the repeated
    one go with it. Where the suffix goes on in the hole's line, a generated line that ends in the
    rest of it is cut before that rest. A last line without newline counts only once nothing more
    comes, and one that the prefix holds whole is none of the middle's. Lines too short to tell
    (`borders.is_telling`) end nothing. Where the hole takes whole lines, only a whole line counts.

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
    """The earliest end any rule finds, and that rule; of equals the first in `rules`."""
    ends = [
        (end, rule)
        for rule in rules
        if rule in RULES and (end := RULES[rule](text, borders, ended)) is not None
    ]
    return min(ends, key=lambda found: found[0], default=None)


class StopCheck:
    """Told one sample's tokens one by one, says when the rules have ended its middle.

    Every rule is decided by a newline, or by the first character after one; so the text is decoded
    only there, about twice a line.
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
        # A character of several tokens is no character before its last one.
        text = self._decode(self._token_ids).rstrip("\ufffd")
        self._at_line_start = not text.rpartition("\n")[2].strip()
        return find_end(text, self._borders, self._rules, ended=False) is not None


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end (its newline's place, or the text's end) and text of each line."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line), line
        start += len(line) + 1


def _indentation(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(_TAB))
