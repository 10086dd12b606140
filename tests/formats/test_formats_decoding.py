"""Ids become text as bytes: whole characters, nothing added, nothing dropped but what is half."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.tiny import tiny_json, tiny_sentencepiece_json, tiny_unigram_json

CONTROLS = {"<|endoftext|>": True, "<M>": True}
TINY = {
    "byte-level": TextTokenizer(tiny_json(CONTROLS)),
    "byte-fallback": TextTokenizer(tiny_sentencepiece_json(CONTROLS)),
    "metaspace": TextTokenizer(tiny_sentencepiece_json(CONTROLS, metaspace=True)),
}
WIDE = "aé名😀"


@pytest.mark.parametrize("kind", TINY)
def test_a_cut_off_last_character_takes_no_other_along(kind: str) -> None:
    tokenizer = TINY[kind]
    (ids,) = tokenizer.encode([WIDE])
    assert [tokenizer.decode(ids[:end]) for end in range(len(ids) + 1)] == [
        "",
        "a",
        "a",
        "aé",
        "aé",
        "aé",
        "aé名",
        "aé名",
        "aé名",
        "aé名",
        WIDE,
    ]


def test_the_librarys_decoder_would_lose_whole_characters() -> None:
    raw = Tokenizer.from_str(tiny_sentencepiece_json(CONTROLS))
    (ids,) = TINY["byte-fallback"].encode(["名😀"])
    assert raw.decode(ids[:4]) == "\ufffd" * 4  # why batchfim joins bytes itself
    assert TINY["byte-fallback"].decode(ids[:4]) == "名"


@pytest.mark.parametrize("kind", TINY)
def test_a_control_token_inside_a_character_is_left_out(kind: str) -> None:
    tokenizer = TINY[kind]
    (ids,) = tokenizer.encode(["名"])
    assert tokenizer.decode([*ids[:1], tokenizer.token_id("<M>"), *ids[1:]]) == "名"


@pytest.mark.parametrize("kind", TINY)
def test_bytes_that_are_no_text_are_marked_and_harm_no_neighbour(kind: str) -> None:
    tokenizer = TINY[kind]
    before, wide, after = tokenizer.encode(["é", "名", "b"])
    assert tokenizer.decode([*before, wide[1], *after]) == "é\ufffdb"
    (typed,) = tokenizer.encode(["\ufffd"])
    assert tokenizer.decode(typed) == "\ufffd"


@pytest.mark.parametrize("kind", TINY)
@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_any_text_comes_back(kind: str, text: str) -> None:
    (ids,) = TINY[kind].encode([text])
    assert TINY[kind].decode(ids) == text


@pytest.mark.parametrize("kind", TINY)
@settings(deadline=None)
@given(text=st.text(st.sampled_from(" aé名😀\n")), data=st.data())
def test_cuts_of_ids_are_cuts_between_characters(kind: str, text: str, data: st.DataObject) -> None:
    tokenizer = TINY[kind]
    (ids,) = tokenizer.encode([text])
    keep = data.draw(st.integers(0, len(ids)))
    start, end = tokenizer.cut_start(ids, keep), tokenizer.cut_end(ids, keep)
    assert keep - 3 <= min(len(start), len(end)) <= max(len(start), len(end)) <= keep
    assert text.endswith(tokenizer.decode(start))
    assert text.startswith(tokenizer.decode(end))


def test_ids_past_the_vocabulary_are_nothing() -> None:
    tokenizer = TINY["byte-level"]
    (ids,) = tokenizer.encode(["x"])
    assert tokenizer.decode([tokenizer.vocab_size + 7, *ids]) == "x"


def test_unigram_keeps_the_first_space() -> None:
    tokenizer = TextTokenizer(tiny_unigram_json({"<mask>": True}), {"<mask>"})
    (ids,) = tokenizer.encode([" return <mask>"])
    assert tokenizer.decode(ids) == " return <mask>"
    assert tokenizer.token_id("<mask>") not in ids
