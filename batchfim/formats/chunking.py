"""Split texts for the tokenizer into batches and chunks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_BATCH_CHARACTERS = 1 << 18


def batches(prefixes: Sequence[str], suffixes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Row ranges with about a quarter million characters of text each, and at least one record."""
    start = characters = 0
    for end, (prefix, suffix) in enumerate(zip(prefixes, suffixes, strict=True), 1):
        characters += len(prefix) + len(suffix)
        if characters >= _BATCH_CHARACTERS:
            yield start, end
            start, characters = end, 0
    if start < len(prefixes):
        yield start, len(prefixes)


def chunks(text: str, characters: int) -> Iterator[str]:
    """Pieces of a long text, cut at line ends across which no tokenizer joins characters."""
    start = 0
    while start < len(text):
        end = start + characters
        if end < len(text):
            end = _cut_before(text, start, end)
        yield text[start:end]
        start = end


def _cut_before(text: str, start: int, end: int) -> int:
    """The last position at a newline where a cut changes no id; `end` if there is none.

    Byte-level tokenizers first split text by a pattern, and SentencePiece encodes newlines as
    bytes: none joins a newline with a letter after it, nor with a letter or digit before it. Some
    join it with blanks after or before it, and treat a run of blanks at the end of a text
    differently from one within it; others join it with punctuation before it or a slash after it.
    """
    at = text.rfind("\n", start, end)
    while at > start:
        if not text[at - 1].isspace() and not (text[at + 1].isspace() or text[at + 1] == "/"):
            return at + 1
        begins = at - (text[at - 1] == "\r")
        if begins > start and text[begins - 1].isalnum():
            return begins
        at = text.rfind("\n", start, at)
    return end
