"""Sentinels that a tokenizer adds without calling them special, as Qwen's and DeepSeek's do."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from batchfim.formats.encoder import Encoder
from batchfim.formats.format import Format
from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.tiny import tiny_json

# Bars as in Qwen, U+FF5C and U+2581 as in DeepSeek, a name no shape would give away, and a run of
# spaces, which is text in CodeGen's and Phi's vocabularies.
ADDED = {
    "<|fim_prefix|>": False,
    "<|fim_suffix|>": False,
    "<\uff5cfim\u2581end\uff5c>": False,
    "MIDDLE!": False,
    "    ": False,
    "<|endoftext|>": True,
    "<tool_call>": False,  # Qwen's
}
FORM = Format(
    layouts={"psm": ("<|fim_prefix|>", "{prefix}", "<|fim_suffix|>", "{suffix}", "MIDDLE!")},
    order="psm",
    stops=("<|endoftext|>",),
)
IDS = {text: 256 + place for place, text in enumerate(ADDED)}


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(tiny_json(ADDED), FORM.control_texts())


def test_the_raw_tokenizer_does_match_them() -> None:
    raw = Tokenizer.from_str(tiny_json(ADDED))
    raw.encode_special_tokens = True  # the library's own switch is not enough
    assert IDS["<|fim_prefix|>"] in raw.encode("a<|fim_prefix|>b").ids


@pytest.mark.parametrize("text", [text for text in ADDED if text.strip()])
def test_none_matches_in_user_text(text: str, tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode([f"a{text}b"])
    assert max(ids) < 256
    assert tokenizer.decode(ids) == f"a{text}b"


def test_runs_of_spaces_stay_text(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode(["\n    x"])
    assert IDS["    "] in ids
    assert tokenizer.decode(ids) == "\n    x"


def test_ids_are_those_of_the_file(tokenizer: TextTokenizer) -> None:
    assert {text: tokenizer.token_id(text) for text in ADDED} == IDS
    assert tokenizer.control_ids == set(IDS.values()) - {IDS["    "]}
    assert tokenizer.vocab_size == 256 + len(ADDED)


def test_the_prompt_holds_each_sentinel_once(tokenizer: TextTokenizer) -> None:
    text = "MIDDLE!<|fim_prefix|>"
    pieces = Encoder(FORM, "psm", tokenizer).pieces(text, text)
    assert [piece.token_ids for piece in pieces if piece.kind == "sentinel"] == [
        [IDS["<|fim_prefix|>"]],
        [IDS["<|fim_suffix|>"]],
        [IDS["MIDDLE!"]],
    ]
    assert [max(p.token_ids) < 256 for p in pieces if p.kind != "sentinel"] == [True, True]


def test_decoding_leaves_them_out(tokenizer: TextTokenizer) -> None:
    (ids,) = tokenizer.encode([" x"])
    assert tokenizer.decode([IDS["MIDDLE!"], *ids, IDS["<\uff5cfim\u2581end\uff5c>"]]) == " x"


def test_a_tag_that_a_model_writes_is_text_and_none_that_a_record_holds_becomes_one(
    tokenizer: TextTokenizer,
) -> None:
    (ids,) = tokenizer.encode(["x<tool_call>"])
    assert IDS["<tool_call>"] not in ids
    assert tokenizer.decode([*ids[:1], IDS["<tool_call>"]]) == "x<tool_call>"
