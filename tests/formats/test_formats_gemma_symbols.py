"""Gemma's tokenizers keep runs of spaces and some of HTML as added tokens: text, all of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import Tokenizer

from batchfim.formats.tokenizer import TextTokenizer

CONTROLS = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
)
SYMBOLS = (
    "\n",
    "\u2581\u2581",
    "\u2581\u2581\u2581\u2581",
    "<table>",
    "</table>",
    "<h1>",
    "<code>",
)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz<>/\u25810123456789=|_"
HTML = "x = a\n    <table>b</table>  <h1><code>"


def tokenizer_json() -> str:
    """Of the shape of google/gemma-2's, with few entries; only the first four are `special`."""
    names = [*CONTROLS, *SYMBOLS]
    vocabulary = {text: place for place, text in enumerate([*names, *CHARACTERS])}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    back = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    split = {"pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    tree: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": place, "content": text, "special": place < 4} | flags
            for place, text in enumerate(names)
        ],
        "normalizer": spaces,
        "pre_tokenizer": {"type": "Split"} | split,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}]},
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": [["\u2581", "\u2581"], ["\u2581\u2581", "\u2581\u2581"]],
        },
    }
    return json.dumps(tree)


@pytest.fixture
def tokenizer() -> TextTokenizer:
    return TextTokenizer(tokenizer_json(), CONTROLS)


def test_text_is_encoded_as_the_library_does_and_comes_back(tokenizer: TextTokenizer) -> None:
    ids = Tokenizer.from_str(tokenizer_json()).encode(HTML, add_special_tokens=False).ids
    (encoded,) = tokenizer.encode([HTML])
    assert list(encoded) == ids
    assert tokenizer.token_id("<table>") in ids
    assert tokenizer.decode(ids) == HTML


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_stay_out_of_text_and_of_middles(tokenizer: TextTokenizer, control: str) -> None:
    (encoded,) = tokenizer.encode([f"a{control}b"])
    assert tokenizer.token_id(control) not in encoded
    assert tokenizer.decode([tokenizer.token_id(control), *encoded]) == f"a{control}b"
