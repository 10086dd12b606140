"""A hole's position within its lines, as stop and trim rules need it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batchfim.records import Hole

_FILLED = re.compile(r"\S")
_WORD = re.compile(r"\w")
_THREE_FILLED = re.compile(r"(?:\s*\S){3}")


@dataclass(frozen=True, slots=True)
class Borders:
    """The texts on both sides of a hole, as far as the rules use them.

    Attributes:
        line_start: the hole's own line up to the hole.
        whole_lines: whether the hole begins at the start of a line and the suffix begins a line
            too, so that the newline of the hole's last line belongs to the middle.
        next_line: the suffix's first non-blank line without trailing blanks, or empty if it is not
            distinctive (`is_telling`).
        goes_on: whether that line starts right at the end of the hole, without a newline between.
    """

    line_start: str
    whole_lines: bool
    next_line: str
    goes_on: bool

    @classmethod
    def of(cls, hole: Hole) -> Borders:
        """The borders of a hole."""
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
        """End of a middle whose last line ends with the newline at this position of `text`.

        It is after the newline if the hole takes whole lines, else before it (and its carriage
        return), since the suffix then contains the newline.
        """
        if self.whole_lines:
            return newline + 1
        return newline - (text[newline - 1 : newline] == "\r")


def is_telling(text: str) -> bool:
    """Whether a text is distinctive enough that a repetition of it is no coincidence.

    It needs at least three non-blank characters, one of them a letter, digit or underscore: correct
    code often repeats closing brackets alone.
    """
    return bool(telling_start(text))


def telling_start(text: str) -> str:
    """The shortest start of `text` that `is_telling`; empty if there is none."""
    word = _WORD.search(text)
    third = _THREE_FILLED.match(text)
    return text[: max(word.end(), third.end())] if word and third else ""
