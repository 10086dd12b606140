"""Which family a model belongs to: its architecture and its vocabulary must both say so."""

from __future__ import annotations

import pytest

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.detect import detect_format, family_format
from batchfim.formats.tokenizer import TextTokenizer

UNDERSCORES = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"}
HYPHENS = {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"}


@pytest.mark.parametrize(
    ("model_type", "vocabulary", "family"),
    [
        ("gpt_bigcode", UNDERSCORES, "starcoder"),
        ("gpt_bigcode", HYPHENS, "santacoder"),
        ("gpt2", HYPHENS, "santacoder"),
        ("starcoder2", UNDERSCORES | {"<file_sep>"}, "starcoder2"),
    ],
)
def test_architecture_and_sentinels_tell(
    model_type: str, vocabulary: set[str], family: str
) -> None:
    assert detect_format({"model_type": model_type}, vocabulary) is CATALOG[family]


@pytest.mark.parametrize(
    ("config", "vocabulary"),
    [
        ({"model_type": "llama"}, UNDERSCORES | {"<file_sep>"}),  # sentinels prove nothing alone
        ({"model_type": "starcoder2"}, UNDERSCORES),  # nor does the architecture
        ({"model_type": "gpt2"}, UNDERSCORES),
        ({"model_type": "gpt_bigcode"}, {"<|endoftext|>"}),
        ({}, UNDERSCORES),
    ],
)
def test_a_plain_model_is_refused_with_the_families(
    config: dict[str, str], vocabulary: set[str]
) -> None:
    with pytest.raises(ModelError, match="starcoder2") as caught:
        detect_format(config, vocabulary)
    assert str(config.get("model_type")) in str(caught.value)
    assert "infill.format" in str(caught.value)


def test_a_model_that_fits_two_families_must_be_told() -> None:
    with pytest.raises(ModelError, match=r"santacoder, starcoder; set model\.family"):
        detect_format({"model_type": "gpt_bigcode"}, UNDERSCORES | HYPHENS)


def test_an_unknown_family_lists_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"'starcodr'.*santacoder, starcoder, starcoder2"):
        family_format("starcodr")


def test_a_known_family_is_the_catalogs() -> None:
    assert family_format("santacoder") is CATALOG["santacoder"]


def test_the_real_vocabulary_of_starcoder2(starcoder2: TextTokenizer) -> None:
    assert detect_format({"model_type": "starcoder2"}, starcoder2).family == "starcoder2"


def test_the_real_vocabulary_of_codellama_is_no_family_yet(codellama: TextTokenizer) -> None:
    with pytest.raises(ModelError, match="'llama'"):
        detect_format({"model_type": "llama"}, codellama)


def test_what_is_no_tokenizer_is_said_to_be_none() -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json is not a tokenizer"):
        TextTokenizer('{"model": 1}')
