"""Detect whether a tokenizer changes a text before encoding it, which decoding cannot undo.

The common case is cheap: byte-level tokenizers without a normalizer change nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Literal, cast

from tokenizers import Tokenizer

_SPACE = "\u2581"
_UNICODE = ("NFC", "NFD", "NFKC", "NFKD")
# These put a space before a text, or write spaces as U+2581, which is checked by `_SPACE`.
_SPACING = frozenset({"Prepend", "Replace"})


def find_changes(tree: dict[str, Any], encoder: Tokenizer) -> Callable[[str], bool] | None:
    """A function that tells whether a text is changed; None if none ever is.

    Args:
        tree: the `tokenizer.json` that `encoder` was built from, without a leading space.
        encoder: the tokenizer, whose normalizer is called if there is no faster check.
    """
    kinds = _kinds(tree.get("normalizer"), "normalizers")
    writes_spaces = "Metaspace" in _kinds(tree.get("pre_tokenizer"), "pretokenizers") or any(
        kind in _SPACING for kind in kinds
    )
    rest = [kind for kind in kinds if kind not in _SPACING]
    if not kinds and not writes_spaces:
        return None
    if len(rest) == 1 and rest[0] in _UNICODE:
        form = cast(Literal["NFC", "NFD", "NFKC", "NFKD"], rest[0])
        return lambda text: (
            not unicodedata.is_normalized(form, text) or (writes_spaces and _SPACE in text)
        )
    if not rest:
        return lambda text: _SPACE in text
    normalize = encoder.normalizer.normalize_str
    return lambda text: _SPACE in text or normalize(text).replace(_SPACE, " ") != text


def _kinds(node: dict[str, Any] | None, children: str) -> list[str]:
    if node is None:
        return []
    if node["type"] == "Sequence":
        return [kind for child in node[children] for kind in _kinds(child, children)]
    return [str(node["type"])]
