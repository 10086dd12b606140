"""Detect degenerate middles, which are flagged in the row but never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from batchfim.formats.borders import is_telling

Degenerate = Literal["pad_loop", "repetition", "suffix_echo"]
_LOOP_TOKENS = 16
_LOOP_LINES = 4


def find_degenerate(
    token_ids: Sequence[int], raw: str, suffix: str, *, reached_limit: bool
) -> Degenerate | None:
    """How a raw middle is degenerate; None if it is not.

    pad_loop     stopped by the length limit while repeating one token, at least 16 times
    repetition   stopped by the length limit while repeating one line, at least 4 times
    suffix_echo  begins with the whole suffix as lines, or ends with it (ignoring blanks around
                 both), if the suffix is distinctive (`borders.is_telling`)
    """
    if reached_limit and _loops_a_token(token_ids):
        return "pad_loop"
    if reached_limit and _loops_a_line(raw):
        return "repetition"
    return "suffix_echo" if _echoes(raw, suffix) else None


def _loops_a_token(token_ids: Sequence[int]) -> bool:
    return len(token_ids) >= _LOOP_TOKENS and len(set(token_ids[-_LOOP_TOKENS:])) == 1


def _loops_a_line(raw: str) -> bool:
    """Whether a text ends with repetitions of one line, the last maybe cut; ignores blank lines."""
    whole, _, rest = raw.rpartition("\n")
    lines = [line for line in whole.split("\n") if line.strip()][-_LOOP_LINES:]
    return len(lines) == _LOOP_LINES and len(set(lines)) == 1 and lines[0].startswith(rest.rstrip())


def _echoes(raw: str, suffix: str) -> bool:
    text, wanted = raw.strip(), suffix.strip()
    begins = text.startswith(wanted) and text[len(wanted) : len(wanted) + 1] in "\r\n"
    return (begins or text.endswith(wanted)) and is_telling(wanted)
