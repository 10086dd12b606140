"""A prompt says when the tokenizer gave the model another text than the record's."""

from __future__ import annotations

import json

import pytest

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.surroundings import ContextFile, Surroundings
from tests.formats.tiny import tiny_for, tiny_json, tiny_sentencepiece_json

DECOMPOSED = "e\u0301"


def is_normalized(name: str, prefix: str, suffix: str = "", order: str | None = None) -> bool:
    (prompt,) = Encoder(CATALOG[name], order, tiny_for(CATALOG[name])).encode([prefix], [suffix])
    assert isinstance(prompt, Prompt)
    return prompt.normalized


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("starcoder2", f"{DECOMPOSED}\u2581", False),
        ("deepseek-coder", f"{DECOMPOSED}\u2581", False),
        ("qwen2.5-coder", DECOMPOSED, True),
        ("qwen2.5-coder", "\u2581é 名前 \u202e", False),
        ("codellama", "a\u2581b", True),
        ("codellama", f" {DECOMPOSED}  ", False),
        ("codestral", "\u2581<PRE>", True),
        ("codegemma", "a\u2581b", True),
        ("plbart", "return mask", False),
        ("plbart", "名", True),  # a character that this vocabulary has no token for
    ],
)
def test_a_changed_text_is_told_on_either_side(name: str, text: str, changed: bool) -> None:
    assert is_normalized(name, text) == changed
    assert is_normalized(name, "x", text) == changed
    assert not is_normalized(name, "x", "y")


def test_a_changed_context_file_is_told() -> None:
    family = CATALOG["qwen2.5-coder"]
    encoder = Encoder(family, "repo_psm", tiny_for(family))
    for text, changed in ((DECOMPOSED, True), ("é", False)):
        around = Surroundings(context=(ContextFile("a.py", text),))
        (prompt,) = encoder.encode(["x"], ["y"], [around])
        assert isinstance(prompt, Prompt)
        assert prompt.normalized == changed


def test_both_spellings_of_sentencepiece_are_known() -> None:
    for metaspace in (False, True):
        tokenizer = TextTokenizer(tiny_sentencepiece_json({}, metaspace=metaspace))
        assert tokenizer.changed("\u2581", [])
        assert not tokenizer.changed(" a  b", [])


def test_a_normalizer_without_a_quick_answer_is_asked() -> None:
    tree = json.loads(tiny_json())
    tree["normalizer"] = {"type": "Lowercase"}
    tokenizer = TextTokenizer(json.dumps(tree))
    assert tokenizer.changed("Def", [])
    assert not tokenizer.changed("def", [])
