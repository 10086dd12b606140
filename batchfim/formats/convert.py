"""Convert tokenizers that come without a tokenizer.json to that format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from batchfim.formats.token_bytes import byte_alphabet

_SPACE = "\u2581"


def from_sentencepiece(processor: Any) -> str:
    """Convert a SentencePiece BPE model with byte fallback to the text of a `tokenizer.json`.

    Args:
        processor: a loaded `sentencepiece.SentencePieceProcessor`.
    """
    pieces = [processor.id_to_piece(i) for i in range(len(processor))]
    place = {piece: i for i, piece in enumerate(pieces)}
    controls = [p for i, p in enumerate(pieces) if processor.is_control(i)]
    unknown = pieces[processor.unk_id()]
    plain = {
        piece
        for i, piece in enumerate(pieces)
        if not (processor.is_control(i) or processor.is_byte(i) or processor.is_unknown(i))
    }
    merges = sorted(
        ((left, right) for piece in plain for left, right in _splits(piece, plain)),
        key=lambda pair: (-processor.get_score(place[pair[0] + pair[1]]), place[pair[0]]),
    )
    tokenizer = Tokenizer(
        models.BPE(vocab=place, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    spaces = normalizers.Replace(" ", _SPACE)
    dummy = processor.encode("a", out_type=str)[0].startswith(_SPACE)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if dummy else spaces
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([_added(text) for text in [unknown, *controls]])
    return str(tokenizer.to_str())


def from_ranks(
    ranks: Mapping[bytes, int],
    pattern: str,
    special_tokens: Mapping[str, int],
    shift: int = 0,
    own_prefix: Sequence[str] = (),
) -> str:
    """Convert a tiktoken-style byte-level BPE to the text of a `tokenizer.json`.

    Args:
        ranks: rank of each token, by its bytes.
        pattern: regular expression that splits text before merging.
        special_tokens: id of each special token, by its text.
        shift: added to a rank to get the id (Mistral's tekken puts its control tokens first).
        own_prefix: special tokens that the tokenizer puts before a text.
    """
    spelled = {token: _spell(token) for token in ranks}
    vocabulary = {spelled[token]: rank + shift for token, rank in ranks.items()}
    vocabulary |= {text: i for text, i in special_tokens.items() if text not in vocabulary}
    merges = [
        (spelled[left], spelled[right])
        for token in sorted(ranks, key=ranks.__getitem__)
        for left, right in sorted(_splits(token, ranks), key=lambda p: (ranks[p[0]], ranks[p[1]]))
    ]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [_added(text) for text in sorted(special_tokens, key=special_tokens.__getitem__)]
    )
    if own_prefix:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*own_prefix, "$A"], special_tokens=[(t, special_tokens[t]) for t in own_prefix]
        )
    return str(tokenizer.to_str())


def _splits(token: Any, known: Any) -> Sequence[tuple[Any, Any]]:
    halves = [(token[:at], token[at:]) for at in range(1, len(token))]
    return [(left, right) for left, right in halves if left in known and right in known]


def _spell(token: bytes) -> str:
    return "".join(_CHARACTERS[byte] for byte in token)


def _added(text: str) -> AddedToken:
    return AddedToken(text, special=True, normalized=False)


_CHARACTERS = {byte: character for character, byte in byte_alphabet().items()}
