"""A byte-level tokenizer small enough to know by heart: id = place in the byte alphabet."""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

STARCODER_CONTROLS = {
    "<|endoftext|>": True,
    "<fim_prefix>": True,
    "<fim_middle>": True,
    "<fim_suffix>": True,
}


def tiny_json(added: Mapping[str, bool] = STARCODER_CONTROLS) -> str:
    """Text of a `tokenizer.json`: 256 bytes, then the added tokens with their `special` flags."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: place for place, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    for text, special in added.items():
        token = AddedToken(text, special=special, normalized=False)
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
    return str(tokenizer.to_str())
