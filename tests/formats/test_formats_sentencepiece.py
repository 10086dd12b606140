"""SentencePiece families: a space before a text only where the family was trained with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.catalog import CATALOG
from batchfim.formats.convert import from_sentencepiece
from batchfim.formats.encoder import Encoder, Prompt
from batchfim.formats.finishing import Finisher
from batchfim.formats.format import Format
from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.tiny import tiny_sentencepiece_json

# llama.cpp issue 3503: what the reference code of CodeLlama makes of this hole.
BEFORE = 'def remove_non_ascii(s: str) -> str:\n    """ '
AFTER = "\n    return result\n"
_IDS = """
    1 32007 822 3349 29918 5464 29918 294 18869 29898 29879 29901 851 29897 1599 851 29901 13 1678
    9995 29871 32008 13 1678 736 1121 13 32009
"""
CODELLAMA_IDS = [int(i) for i in _IDS.split()]
PRE, SUF, MID, EOT = 32007, 32008, 32009, 32010
PARTS = [
    "def f(",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "return a",
    "12",
    "é",
    "名",
    "😀",
    "\x00",
    "[SUFFIX]",
    "[PREFIX]",
    "</s>",
    "<0x0A>",
    "<unk>",
    "▁",
    "☺",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)


def ids(encoder: Encoder, prefix: str, suffix: str) -> list[int]:
    (prompt,) = encoder.encode([prefix], [suffix])
    assert isinstance(prompt, Prompt)
    return prompt.token_ids.tolist()


def test_codellama_id_by_id(codellama: TextTokenizer) -> None:
    encoder = Encoder(CATALOG["codellama"], "psm", codellama)
    assert ids(encoder, BEFORE, AFTER) == CODELLAMA_IDS
    assert encoder.stop_token_ids == (EOT, 2)


def test_codellama_suffix_first(codellama: TextTokenizer) -> None:
    cut = CODELLAMA_IDS.index(SUF)
    before, after = CODELLAMA_IDS[2:cut], CODELLAMA_IDS[cut + 1 : -1]
    encoder = Encoder(CATALOG["codellama"], "spm_v2", codellama)
    assert ids(encoder, BEFORE, AFTER) == [1, PRE, SUF, *after, MID, *before]


def test_codellama_keeps_a_middles_first_space(codellama: TextTokenizer) -> None:
    encoder = Encoder(CATALOG["codellama"], None, codellama)
    finish = Finisher(codellama, encoder.stop_token_ids)
    for middle in (" result", "  x", "x", "\n", " ", "名前"):
        (generated,) = codellama.encode([middle])
        assert finish.raw_middle([*generated, EOT, 2]) == middle


def test_a_sentinel_typed_by_a_user_is_text(codellama: TextTokenizer) -> None:
    text = "▁<PRE> <PRE>▁<SUF><s></s>▁<EOT><unk>"
    for (encoded,) in (codellama.encode([text]), codellama.encode([text], leading_space=True)):
        assert codellama.control_ids.isdisjoint(encoded)
    assert codellama.decode(codellama.encode([text])[0]) == text.replace("▁", " ")


@pytest.fixture(scope="module")
def codestral() -> Encoder:
    mistral = pytest.importorskip("mistral_common")
    processor = pytest.importorskip("sentencepiece").SentencePieceProcessor(
        str(Path(mistral.__file__).parent / "data/mistral_instruct_tokenizer_240323.model.v3")
    )
    form = CATALOG["codestral"]
    return Encoder(form, None, TextTokenizer(from_sentencepiece(processor), form.control_texts()))


@pytest.fixture(scope="module")
def makers_own() -> Callable[[str, str], list[int]]:
    pytest.importorskip("mistral_common")
    from mistral_common.protocol.fim.request import FIMRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    tokenizer = MistralTokenizer.v3()
    return lambda prefix, suffix: list(
        tokenizer.encode_fim(FIMRequest(prompt=prefix, suffix=suffix)).tokens
    )


@settings(deadline=None, max_examples=300)
@given(prefix=TEXTS, suffix=TEXTS)
def test_codestral_is_equal_to_its_makers_encoder(
    codestral: Encoder, makers_own: Callable[[str, str], list[int]], prefix: str, suffix: str
) -> None:
    assert ids(codestral, prefix, suffix) == makers_own(prefix, suffix)


def test_codestral_id_by_id(codestral: Encoder) -> None:
    prefix, suffix = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"
    expected = (
        "1 13 781 781 2799 29500 1756 29500 29508 29493 29473 29518 1511 781 11 1569 1735 29500 "
        "29476 29493 1055 2097 781 3055 1372 29473"
    )
    assert ids(codestral, prefix, suffix) == [int(i) for i in expected.split()]
    assert ids(codestral, "x", "") == [1, 13, 11, *codestral.pieces("x", "")[-1].token_ids]


FORM = Format(
    layouts={"psm": ("<P>", "{prefix}", "<S>", "{suffix}", "<M>")},
    order="psm",
    stops=("</s>",),
    leading_space=("suffix",),
)


@pytest.mark.parametrize("metaspace", [False, True])
def test_the_rule_is_data(metaspace: bool) -> None:
    text = tiny_sentencepiece_json(dict.fromkeys(("<P>", "<S>", "<M>"), True), metaspace=metaspace)
    tokenizer = TextTokenizer(text, FORM.control_texts())
    space = tokenizer.token_id("▁")
    pieces = Encoder(FORM, None, tokenizer).pieces("a", "a")
    (bare,) = tokenizer.encode(["a"])
    assert [piece.token_ids for piece in pieces[1::2]] == [bare, [space, *bare]]
    # SentencePiece puts its space also before a text that begins with one.
    twice = Encoder(FORM, None, tokenizer).pieces("", " a")[3]
    assert twice.token_ids == [tokenizer.token_id("▁▁"), *bare]
    plain = Encoder(FORM.model_copy(update={"leading_space": ()}), None, tokenizer)
    assert plain.pieces("a", " a")[1].token_ids == bare
    assert plain.pieces("a", " a")[3].token_ids == [space, *bare]
