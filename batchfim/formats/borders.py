"""What stop and trim rules need to know of a hole: how it lies in its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batchfim.records import Hole

_FILLED = re.compile(r"\S")
_WORD = re.compile(r"\w")
_THREE_FILLED = re.compile(r"(?:\s*\S){3}")


@dataclass(frozen=True, slots=True)
class Borders:
    """The texts on both sides of a hole, as far as the rules look at them.

    Attributes:
        line_start: the hole's own line up to the hole.
        whole_lines: the hole begins at a line's start and what follows it begins a line too, so
            the newline of its last line belongs to the middle.
        next_line: the suffix's first line that is not blank, without trailing blanks; empty where
            there is none that `is_telling`.
        goes_on: that line goes on where the hole ends; no newline lies between.
    """

    line_start: str
    whole_lines: bool
    next_line: str
    goes_on: bool

    @classmethod
    def of(cls, hole: Hole) -> Borders:
        """Look at a hole's two sides."""
        line_start = hole.prefix[hole.prefix.rfind("\n") + 1 :]
        suffix = hole.suffix
        filled = _FILLED.search(suffix)
        begins = filled.start() if filled else len(suffix)
        first = suffix.rfind("\n", 0, begins) + 1
        newline = suffix.find("\n", begins)
        next_line = suffix[first : newline if newline >= 0 else len(suffix)].rstrip()
        return cls(
            line_start=line_start,
            whole_lines=not line_start and suffix[:1] not in ("", "\n", "\r"),
            next_line=next_line if is_telling(next_line) else "",
            goes_on=first == 0,
        )

    def end_of_line(self, text: str, newline: int) -> int:
        """Where a middle ends whose last line is ended by the newline at this place of `text`.

        After it where the hole takes whole lines, before it (and its carriage return) otherwise:
        then the suffix brings the newline along.
        """
        if self.whole_lines:
            return newline + 1
        return newline - (text[newline - 1 : newline] == "\r")


def is_telling(text: str) -> bool:
    """Whether finding this text twice is more than chance.

    It has at least three characters that are not blank and one of them is a letter, a digit or an
    underscore: closing brackets alone follow each other in good code.
    """
    return bool(telling_start(text))


def telling_start(text: str) -> str:
    """The shortest start of `text` that `is_telling`; empty where there is none."""
    word = _WORD.search(text)
    third = _THREE_FILLED.match(text)
    return text[: max(word.end(), third.end())] if word and third else ""
