"""Where a tokenizer lets texts be cut at their lines without changing an id.

Holes of one file share most of their lines; cut there, each line is encoded once. A tokenizer is
taken at its own word: no token lies across a cut, and texts of every kind have the same ids whole
and in parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise, product

Cut = Callable[[str], list[str]]
Encode = Callable[[Sequence[str]], list[list[int]]]

_MIDDLE = 64  # characters: no two files have them in common by chance
_LINE_END = re.compile(r"\n(?<=\S\n)|\r\n(?<=\S\r\n)")
_LINE_START = re.compile(r"\n(?=[ \t]*[^\s/])")
_BEFORE = [*"x7é名_)+;'/#", ");", "don't", "x ", "x\t", "\ue000", ""]
_BETWEEN = ["\n", "\r\n", "\n\n", "\n\n\n", " \n", "\n \n", "\n\t\n", "\n\r\n"]
_AFTER = ["", *"x7é名_)+;'/#", "//x", "\u0301x", "\ue000", " ", "    ", "  x", "\tx", "  )"]


def before_line_ends(text: str) -> list[str]:
    """Parts that begin with the end of a line, but for the first.

    Exact for GPT-2's pattern and those like it, which never join what precedes a newline with it.
    """
    return _parts(text, [match.start() for match in _LINE_END.finditer(text)])


def after_line_ends(text: str) -> list[str]:
    """Parts that end with a newline, but for the last, and begin with a line that is not blank.

    Exact for cl100k's and o200k's patterns, which join newlines with the blanks and punctuation
    before them, and o200k's with a slash after them; and for SentencePiece, whose newlines are
    bytes of their own.
    """
    return _parts(text, [match.end() for match in _LINE_START.finditer(text)])


def find_cut(tokens: Iterable[str], encode: Encode) -> Cut | None:
    """The way to cut that changes no id; None: there is none.

    Args:
        tokens: texts of the vocabulary's tokens with a newline or a carriage return.
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
    """Whether half of the neighbours hold the middle of each other, as the holes of a file do.

    Where they do not, parts are not worth it: they are short, and cost something each.
    """
    shared = sum(_holds_middle(*sorted(pair, key=len)) for pair in pairwise(texts))
    return 2 * shared >= len(texts)


def encode_in_parts(texts: Sequence[str], cut: Cut, encode: Encode) -> list[list[int]]:
    """Ids of texts, each distinct part encoded once.

    Args:
        texts: what to encode.
        cut: makes a text's parts.
        encode: ids of parts.
    """
    parts = [cut(text) for text in texts]
    distinct = list(dict.fromkeys(chain.from_iterable(parts)))
    ids = dict(zip(distinct, encode(distinct), strict=True))
    return [list(chain.from_iterable(map(ids.__getitem__, of_text))) for of_text in parts]


def _is_cut(token: str, cut: Cut) -> bool:
    """Also between the carriage return that it ends with and what is before that."""
    return len(cut(token)) > 1 or len(cut(token + "\n")[0]) < len(token)


def _holds_middle(short: str, long: str) -> bool:
    middle = short[len(short) // 2 :][:_MIDDLE]
    return len(middle) == _MIDDLE and middle in long


def _parts(text: str, places: list[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]
