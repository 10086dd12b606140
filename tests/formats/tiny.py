"""Tokenizers of each kind, small enough to know by heart."""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from batchfim.formats.catalog.family import Family
from batchfim.formats.tokenizer import TextTokenizer

STARCODER_CONTROLS = {
    "<|endoftext|>": True,
    "<fim_prefix>": True,
    "<fim_middle>": True,
    "<fim_suffix>": True,
}
ASCII = [chr(code) for code in range(33, 127)]
SPACE = "\u2581"


def tiny_json(added: Mapping[str, bool] = STARCODER_CONTROLS) -> str:
    """Byte-level: 256 bytes, id = place in the byte alphabet, then the added tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: place for place, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _with(tokenizer, added)


def tiny_roberta_json(added: Mapping[str, bool]) -> str:
    """Byte-level with `<s>` and `</s>` around a text, as Roberta and CodeT5 have."""
    tokenizer = Tokenizer.from_str(tiny_json({"<s>": True, "</s>": True, **added}))
    start, end = ((text, tokenizer.token_to_id(text)) for text in ("<s>", "</s>"))
    tokenizer.post_processor = processors.RobertaProcessing(end, start, add_prefix_space=False)
    return str(tokenizer.to_str())


def tiny_sentencepiece_json(added: Mapping[str, bool], *, metaspace: bool = False) -> str:
    """SentencePiece-style BPE with byte fallback and a dummy prefix, as Llama has.

    Args:
        added: control tokens and their `special` flags.
        metaspace: the dummy prefix as newer files spell it, by a pre-tokenizer.
    """
    plain = [SPACE, *ASCII, SPACE * 2, SPACE * 4, f"{SPACE}d", f"{SPACE}de", "re", "tu", "retu"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *plain]
    merges = [(SPACE, SPACE), (SPACE * 2, SPACE * 2), (SPACE, "d"), (f"{SPACE}d", "e")]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: place for place, piece in enumerate(pieces)},
            merges=[*merges, ("r", "e"), ("t", "u"), ("re", "tu")],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
        )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return _with(tokenizer, {"<unk>": True, "<s>": True, "</s>": True, **added})


def tiny_unigram_json(added: Mapping[str, bool]) -> str:
    """Unigram with the control tokens as ordinary pieces of its vocabulary, as T5 and BART have."""
    texts = ["<unk>", *added, SPACE, "\n", *ASCII, "mask", "return", f"{SPACE}def"]
    scores = [0.0] * (1 + len(added)) + [-3.0] * (len(texts) - 1 - len(added))
    tokenizer = Tokenizer(models.Unigram(list(zip(texts, scores, strict=True)), unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return _with(tokenizer, {"<unk>": True, **added})


def tiny_for(family: Family) -> TextTokenizer:
    """A tokenizer of the family's kind with its real sentinels and their real flags."""
    return TextTokenizer(tiny_family_json(family), family.control_texts())


def tiny_family_json(family: Family, added: Mapping[str, bool] | None = None) -> str:
    """Text of a tokenizer of the family's kind; unless others are given, with its sentinels."""
    if added is None:
        flags = dict.fromkeys(sorted(family.control_texts()), family.special)
        ends = {text: True for text in (*family.stops, family.bos or "{") if text[0] != "{"}
        added = flags | ends
    if family.tokenizer == "sentencepiece":
        return tiny_sentencepiece_json(added)
    if family.tokenizer == "unigram":
        return tiny_unigram_json(added)
    roberta = family.bos == "<s>" and family.engine == "transformers"
    tokenizer = Tokenizer.from_str(tiny_roberta_json(added) if roberta else tiny_json(added))
    if family.normalizes == "to NFC":
        tokenizer.normalizer = normalizers.NFC()
    return str(tokenizer.to_str())


def _with(tokenizer: Tokenizer, added: Mapping[str, bool]) -> str:
    for text, special in added.items():
        token = AddedToken(text, special=special, normalized=False)
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
    return str(tokenizer.to_str())
