"""Find where a tokenizer allows cutting texts at line ends without changing an id.

Holes of one file share most of their lines; with such cuts, each line is encoded only once. Every
tokenizer is tested: no token may cross a cut, and texts of every kind must have the same ids whole
and in parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise, product

Cut = Callable[[str], list[str]]
Encode = Callable[[Sequence[str]], list[list[int]]]

_MIDDLE = 64  # characters, too many for two files to share by chance
_LINE_END = re.compile(r"\n(?<=\S\n)|\r\n(?<=\S\r\n)")
_LINE_START = re.compile(r"\n(?=[ \t]*[^\s/])")
_BEFORE = [*"x7é名_)+;'/#", ");", "don't", "x ", "x\t", "\ue000", ""]
_BETWEEN = ["\n", "\r\n", "\n\n", "\n\n\n", " \n", "\n \n", "\n\t\n", "\n\r\n"]
_AFTER = ["", *"x7é名_)+;'/#", "//x", "\u0301x", "\ue000", " ", "    ", "  x", "\tx", "  )"]


def before_line_ends(text: str) -> list[str]:
    """Parts of a text, of which all but the first begin with a line end.

    Exact for GPT-2's pattern and similar ones, which never join a newline with the text before it.
    """
    return _parts(text, [match.start() for match in _LINE_END.finditer(text)])


def after_line_ends(text: str) -> list[str]:
    """Parts of a text, of which all but the last end with a newline, before a non-blank line.

    Exact for the patterns of cl100k and o200k, which join newlines with blanks and punctuation
    before them (o200k also with a slash after them), and for SentencePiece, which encodes newlines
    as separate bytes.
    """
    return _parts(text, [match.end() for match in _LINE_START.finditer(text)])


def find_cut(tokens: Iterable[str], encode: Encode) -> Cut | None:
    """The way to cut that changes no id; None if there is none.

    Args:
        tokens: texts of the vocabulary's tokens that contain a newline or a carriage return.
        encode: ids of texts, without control tokens.
    """
    spelled = list(tokens)
    texts = list(map("".join, product(_BEFORE, _BETWEEN, _AFTER)))
    texts.append("".join(texts))
    whole = encode(texts)
    for cut in (before_line_ends, after_line_ends):
        crossed = any(_is_cut(token, cut) for token in spelled)
        if not crossed and encode_in_parts(texts, cut, encode) == whole:
            return cut
    return None


def neighbours_share(texts: Sequence[str]) -> bool:
    """Whether at least half of adjacent texts share their middle, as the holes of one file do.

    Otherwise encoding in parts is not worth it, since each of the many short parts has a cost.
    """
    shared = sum(_holds_middle(*sorted(pair, key=len)) for pair in pairwise(texts))
    return 2 * shared >= len(texts)


def encode_in_parts(texts: Sequence[str], cut: Cut, encode: Encode) -> list[list[int]]:
    """Ids of texts, with each distinct part encoded only once.

    Args:
        texts: the texts to encode.
        cut: splits a text into parts.
        encode: returns the ids of parts.
    """
    parts = [cut(text) for text in texts]
    distinct = list(dict.fromkeys(chain.from_iterable(parts)))
    ids = dict(zip(distinct, encode(distinct), strict=True))
    return [list(chain.from_iterable(map(ids.__getitem__, of_text))) for of_text in parts]


def _is_cut(token: str, cut: Cut) -> bool:
    """Whether a token crosses a cut, which may also lie before a carriage return at its end."""
    return len(cut(token)) > 1 or len(cut(token + "\n")[0]) < len(token)


def _holds_middle(short: str, long: str) -> bool:
    middle = short[len(short) // 2 :][:_MIDDLE]
    return len(middle) == _MIDDLE and middle in long


def _parts(text: str, places: list[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]
