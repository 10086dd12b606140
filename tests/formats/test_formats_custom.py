"""Orders, missing sentinels, BOS, and formats given in a job file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from batchfim.errors import ConfigError, ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt, TooLong
from batchfim.formats.format import Format
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.surroundings import Surroundings
from tests.formats.tiny import STARCODER_CONTROLS, tiny_json

CODESTRAL = {
    "family": "codestral",
    "layouts": {"sp": ["[SUFFIX]", "{suffix}", "[PREFIX]", "{prefix}"]},
    "order": "sp",
    "stops": ["</s>"],
    "bos": "<s>",
}


@pytest.fixture(scope="module")
def mistral() -> TextTokenizer:
    added = {"<s>": True, "</s>": True, "[PREFIX]": False, "[SUFFIX]": False}
    return TextTokenizer(tiny_json(added), Format(**CODESTRAL).control_texts())


def test_an_order_the_family_lacks_lists_those_it_has(tiny: TextTokenizer) -> None:
    with pytest.raises(ConfigError, match=r"'spm'.*starcoder; set one of psm, spm_v2"):
        Encoder(CATALOG["starcoder"], "spm", tiny)


def test_missing_sentinels_are_named_and_the_others_are_not() -> None:
    controls = {text: flag for text, flag in STARCODER_CONTROLS.items() if "middle" not in text}
    tokenizer = TextTokenizer(tiny_json(controls), CATALOG["starcoder"].control_texts())
    with pytest.raises(ModelError, match=r"starcoder.*no '<fim_middle>';"):
        Encoder(CATALOG["starcoder"], "psm", tokenizer)


def test_a_missing_stop_is_named_too() -> None:
    form = CATALOG["starcoder"].model_copy(update={"stops": ("<|gone|>",)})
    with pytest.raises(ModelError, match=r"'<\|gone\|>'"):
        Encoder(form, "psm", TextTokenizer(tiny_json(), form.control_texts()))


def test_a_custom_format_with_bos(mistral: TextTokenizer) -> None:
    encoder = Encoder(Format(**CODESTRAL), None, mistral)
    (prompt,) = encoder.encode(["<s>p"], ["[PREFIX]s"])
    before, after = mistral.encode(["<s>p", "[PREFIX]s"])
    assert isinstance(prompt, Prompt)
    assert prompt.token_ids.tolist() == [256, 259, *after, 258, *before]
    assert prompt.token_ids.count(256) == 1  # BOS typed by a user is text
    assert [piece.text for piece in encoder.pieces("<s>p", "[PREFIX]s")] == [
        "<s>",
        "[SUFFIX]",
        "[PREFIX]s",
        "[PREFIX]",
        "<s>p",
    ]


def test_bos_counts_against_the_context(mistral: TextTokenizer) -> None:
    layout = {"sp": ["[SUFFIX]", "{suffix}", "[PREFIX]", "{prefix}", "[PREFIX]"]}
    form = Format(**(CODESTRAL | {"layouts": layout}))  # with BOS, four ids are no text
    encoder = Encoder(form, None, mistral, max_prompt_tokens=10)
    (prompt,) = encoder.encode(["p" * 50], ["s" * 50])
    assert isinstance(prompt, Prompt)
    assert len(prompt.token_ids) == 10
    assert prompt.token_ids[0] == 256


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"order": "psm"}, r"order 'psm' has no layout; layouts: \['sp'\]"),
        ({"layouts": {}}, "layouts"),
        ({"layouts": {"sp": ["[SUFFIX]", "{suffix}"]}}, r"'sp' must hold \{prefix\} exactly once"),
        ({"layouts": {"sp": ["{prefix}", "{suffix}", "{suffix}"]}}, r"must hold \{suffix\}"),
        ({"stops": []}, "stops"),
        ({"family": ""}, "family"),
        ({"context_tokens": 0}, "context_tokens"),
        ({"sentinels": {}}, "sentinels"),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Format(**(CODESTRAL | change))


OWN = """
layouts:
  own:
    - {text: "# {path} ({language})\\n"}
    - "[SUFFIX]"
    - "{suffix}"
    - "[PREFIX]"
    - "{prefix}"
order: own
stops: [</s>]
"""


def test_literal_text_in_a_layout_is_text(mistral: TextTokenizer) -> None:
    form = Format(**yaml.safe_load(OWN))
    around = Surroundings(path="[PREFIX]{language}.py", language="{path}")
    encoder = Encoder(form, None, mistral)
    pieces = encoder.pieces("p", "s", around)
    header = "# [PREFIX]{language}.py ({path})\n"  # filled in once, and never a sentinel
    assert [piece.kind for piece in pieces] == ["text", "sentinel", "suffix", "sentinel", "prefix"]
    assert pieces[0].text == header
    assert pieces[0].token_ids == mistral.encode([header])[0]
    (prompt,) = encoder.encode(["p"], ["s"], [around])
    assert isinstance(prompt, Prompt)
    assert prompt.token_ids.tolist() == [i for piece in pieces for i in piece.token_ids]


def test_a_path_longer_than_the_context_is_too_long(mistral: TextTokenizer) -> None:
    encoder = Encoder(Format(**yaml.safe_load(OWN)), None, mistral, max_prompt_tokens=20)
    header = "# " + "x" * 30 + " ()\n"
    (found,) = encoder.encode(["p"], ["s"], [Surroundings(path="x" * 30)])
    size = len(header) + len("ps") + 2
    assert found == TooLong(prompt_tokens=size, budget_tokens=20, truncates=True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"layouts": {"sp": ["{context}", "{prefix}", "{suffix}"]}}, "context_file is not set"),
        ({"layouts": {"sp": ["{prefix}", "{masks}", "{suffix}"]}}, "mask is not set"),
        (
            {"layouts": {"sp": [{"text": "{text}"}, "{prefix}", "{suffix}"]}},
            "only allowed in context_file",
        ),
        ({"layouts": {"sp": [{"txt": "a"}, "{prefix}", "{suffix}"]}}, "txt"),
        ({"leading_space": ["middle"]}, "leading_space"),
        ({"engine": "llama.cpp"}, "engine"),
    ],
)
def test_more_that_cannot_be_meant(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Format(**(CODESTRAL | change))


def test_stops_a_tokenizer_may_lack(mistral: TextTokenizer) -> None:
    form = Format(**CODESTRAL, more_stops=("[SUFFIX]", "<|gone|>"))
    assert Encoder(form, None, mistral).stop_token_ids == (257, 259)


def test_bos_as_the_tokenizer_puts_it(mistral: TextTokenizer) -> None:
    form = Format(**(CODESTRAL | {"bos": "{tokenizer}"}))
    added = {"<s>": True, "</s>": True, "[PREFIX]": False, "[SUFFIX]": False}
    with_bos = TextTokenizer(tiny_json(added), form.control_texts(), own_prefix=("<s>",))
    assert Encoder(form, None, with_bos).pieces("p", "s")[0].text == "<s>"
    assert Encoder(form, None, mistral).pieces("p", "s")[0].text == "[SUFFIX]"


def test_a_path_that_leaves_room_for_nothing_is_too_long(mistral: TextTokenizer) -> None:
    form, around = Format(**yaml.safe_load(OWN)), Surroundings(path="x" * 30)
    rest = len("# " + "x" * 30 + " ()\n") + 2
    for room, fits in ((0, False), (1, True)):
        encoder = Encoder(form, None, mistral, max_prompt_tokens=rest + room)
        (found,) = encoder.encode(["prefix"], ["suffix"], [around])
        assert isinstance(found, TooLong) is not fits
