"""Decode tokens to bytes, so that ids are joined as bytes and only then decoded to text.

The library decodes every token of a run of byte tokens to U+FFFD if any is out of place, and its
SentencePiece decoders drop the first space. Neither may happen to a middle.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from tokenizers import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"
BYTE_LINE_ENDS = "\u010a\u010d"  # how byte-level vocabularies spell "\n" and "\r"


def byte_alphabet() -> dict[str, int]:
    """GPT-2's characters for bytes: printable ones map to themselves, others start at U+0100."""
    printable = [*range(ord("!"), 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + place): byte for place, byte in enumerate(others)}


class TokenBytes:
    """The bytes of each token of one tokenizer, cached."""

    def __init__(self, tree: dict[str, Any], tokenizer: Tokenizer) -> None:
        """Read how tokens are spelled from the decoder of a `tokenizer.json`."""
        self._tokenizer = tokenizer
        self._added = {token["id"]: token["content"] for token in tree.get("added_tokens") or []}
        kinds = _kinds(tree.get("decoder"))
        self._alphabet = byte_alphabet() if "ByteLevel" in kinds else None
        self._byte_fallback = "ByteFallback" in kinds or bool(tree["model"].get("byte_fallback"))
        self._spaced = bool({"Metaspace", "Replace"} & kinds)
        self._of = cache(self._spelled)

    def join(self, token_ids: Iterable[int]) -> bytes:
        """Bytes of the tokens, in order."""
        return b"".join(map(self._of, token_ids))

    def text(self, token_ids: Iterable[int]) -> str:
        """Text of the tokens, without an incomplete character at the end."""
        return codecs.getincrementaldecoder("utf8")("replace").decode(self.join(token_ids))

    def _spelled(self, token_id: int) -> bytes:
        if token_id in self._added:  # such as Gemma's runs of spaces
            return self._unspaced(str(self._added[token_id])).encode()
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""  # models have more ids than their tokenizers have tokens
        if self._alphabet is not None:
            return _spell(token, self._alphabet)
        match = _BYTE.fullmatch(token) if self._byte_fallback else None
        if match:
            return bytes([int(match[1], 16)])
        return self._unspaced(token).encode()

    def _unspaced(self, token: str) -> str:
        return token.replace(_SPACE, " ") if self._spaced else token


def starts_inside_character(data: bytes) -> bool:
    """Whether the first byte continues a character."""
    return bool(data) and data[0] & 0xC0 == 0x80


def ends_inside_character(data: bytes) -> bool:
    """Whether the last bytes are an incomplete character."""
    decoder = codecs.getincrementaldecoder("utf8")("replace")
    decoder.decode(data[-4:])
    return bool(decoder.getstate()[0])


def _spell(token: str, alphabet: dict[str, int]) -> bytes:
    try:
        return bytes([alphabet[character] for character in token])
    except KeyError:
        return token.encode()  # some old vocabularies have tokens outside the alphabet


def _kinds(node: dict[str, Any] | None) -> set[str]:
    if node is None:
        return set()
    if node["type"] == "Sequence":
        return {kind for child in node["decoders"] for kind in _kinds(child)}
    return {node["type"]}
