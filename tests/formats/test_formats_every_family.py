"""Every family, from a record to its prompt and from generated ids to its middle.

The tokenizers are tiny ones of the family's kind with its real sentinels and `special` flags.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.errors import ConfigError, ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Piece, Prompt, TooLong
from batchfim.formats.finishing import Finisher
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.surroundings import NOWHERE
from tests.formats.goldens import AROUND, GOLDENS, MASKS, P, S
from tests.formats.tiny import STARCODER_CONTROLS, tiny_for, tiny_json

TINY = {name: tiny_for(family) for name, family in CATALOG.items()}
ORDERS = [(name, order) for name, family in CATALOG.items() for order in family.layouts]
HOSTILE = {
    name: [*sorted(family.control_texts()), "<unk>", "<0x0A>", "{prefix}", "{path}", "{text}"]
    for name, family in CATALOG.items()
}
PLAIN = ["def f(x):", " ", "    ", "\n", "return", "retu", "d", "de", "<", "|", "fim", "mask"]
WIDE = [
    "\r\n",
    "\t",
    "\x00",
    "é",
    "e\u0301",
    "名前",
    "👩\u200d👩",
    "\ufffd",
    "אב",
    "\u202e",
    "\x7f",
]


def encoder(name: str, order: str | None = None, size: int | None = None) -> Encoder:
    return Encoder(CATALOG[name], order, TINY[name], max_prompt_tokens=size, masks=MASKS)


def texts(name: str) -> st.SearchStrategy[str]:
    """Any text with the family's own sentinels in it; for unigram, of its own characters."""
    wide = [] if CATALOG[name].tokenizer == "unigram" else WIDE
    parts = st.lists(st.sampled_from([*PLAIN, *HOSTILE[name], *wide]), max_size=10).map("".join)
    if CATALOG[name].tokenizer == "unigram":
        return parts.map(lambda text: text.replace("▁", "_").replace("｜", "|"))
    return st.one_of(parts, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


# Orders in which other text comes first of the prefix's run: its first piece has the space.
HEADED = {"files_sp": AROUND.context[0].path, "spm_v2_path": "# the file path is"}


def has_space(name: str, order: str, piece: Piece) -> bool:
    """Whether SentencePiece's space comes first."""
    family = CATALOG[name]
    if not TINY[name].adds_space:
        return False
    if order in HEADED and "prefix" in family.leading_space:
        return piece.kind == "text" and HEADED[order] in piece.text
    return piece.kind in family.leading_space


def as_kept(name: str, text: str) -> str:
    """The text as the family's tokenizer keeps it: what `normalizes` says, and no more."""
    family = CATALOG[name]
    if family.normalizes == "to NFC":
        return unicodedata.normalize("NFC", text)
    return text.replace("▁", " ") if family.normalizes else text


def test_every_family_and_order_has_a_golden_prompt() -> None:
    assert set(GOLDENS) == set(ORDERS)


@pytest.mark.parametrize(("name", "order"), ORDERS)
def test_from_record_to_prompt(name: str, order: str) -> None:
    pieces = encoder(name, order).pieces(P, S, AROUND)
    assert "".join(piece.text for piece in pieces) == GOLDENS[name, order]
    (prompt,) = encoder(name, order).encode([P], [S], [AROUND])
    assert isinstance(prompt, Prompt)
    assert prompt.token_ids.tolist() == [i for piece in pieces for i in piece.token_ids]
    tokenizer = TINY[name]
    for piece in pieces:
        if piece.kind == "sentinel":
            assert piece.token_ids == [tokenizer.token_id(piece.text)]
        else:
            space = has_space(name, order, piece)
            assert tokenizer.decode(piece.token_ids) == " " * space + piece.text


@pytest.mark.parametrize("name", CATALOG)
def test_from_generated_ids_to_the_middle(name: str) -> None:
    tokenizer, encode = TINY[name], encoder(name)
    finish = Finisher(tokenizer, encode.stop_token_ids)
    sentinels = [tokenizer.token_id(text) for text in sorted(CATALOG[name].control_texts())]
    unwanted = [i for i in sentinels if i not in encode.stop_token_ids]
    for middle in (" a + b", "    return x\n", "\n", "", "a"):
        (ids,) = tokenizer.encode([middle])
        for stop in encode.stop_token_ids:
            assert finish.raw_middle([*unwanted, *ids, stop, *ids]) == middle
        assert finish.raw_middle(ids) == middle


@pytest.mark.parametrize("name", CATALOG)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_text_is_text_in_any_family(name: str, data: st.DataObject) -> None:
    prefix, suffix = data.draw(texts(name)), data.draw(texts(name))
    order = data.draw(st.sampled_from(list(CATALOG[name].layouts)))
    tokenizer = TINY[name]
    for piece in encoder(name, order).pieces(prefix, suffix, AROUND):
        if piece.kind == "sentinel":
            continue
        assert tokenizer.control_ids.isdisjoint(piece.token_ids)
        space = has_space(name, order, piece) and piece.text
        decoded = tokenizer.decode(piece.token_ids)
        assert decoded == (" " if space else "") + as_kept(name, piece.text)
    pieces = encoder(name, order).pieces(prefix, suffix)
    (prompt,) = encoder(name, order).encode([prefix], [suffix])
    kept = all(
        as_kept(name, piece.text) == piece.text for piece in pieces if piece.kind != "sentinel"
    )
    assert isinstance(prompt, Prompt)
    assert prompt.normalized == (not kept)


@pytest.mark.parametrize("name", CATALOG)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_truncated_prompts_fit(name: str, data: st.DataObject) -> None:
    prefix, suffix = data.draw(texts(name)) * 4, data.draw(texts(name)) * 4
    order = data.draw(st.sampled_from(list(CATALOG[name].layouts)))
    whole = encoder(name, order)
    size = data.draw(st.integers(whole.num_sentinels + 1, whole.num_sentinels + 120))
    (prompt,) = encoder(name, order, size).encode([prefix], [suffix], [AROUND])
    (untouched,) = whole.encode([prefix], [suffix], [AROUND])
    assert isinstance(untouched, Prompt)
    if isinstance(prompt, TooLong):  # path and layout alone are longer
        assert whole.num_sentinels + len("main.py") > size - 90
        return
    dropped = (
        prompt.truncated_prefix_tokens
        + prompt.truncated_suffix_tokens
        + prompt.truncated_context_tokens
    )
    assert len(prompt.token_ids) <= size
    assert len(prompt.token_ids) + dropped == len(untouched.token_ids)
    controls = TINY[name].control_ids
    if not prompt.truncated_context_tokens:  # no sentinel is ever cut
        assert [i for i in prompt.token_ids if i in controls] == [
            i for i in untouched.token_ids if i in controls
        ]


@pytest.mark.parametrize("name", CATALOG)
@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("x", ""), ("", "x")])
def test_empty_sides_keep_every_sentinel(name: str, prefix: str, suffix: str) -> None:
    pieces = encoder(name).pieces(prefix, suffix)
    filled = encoder(name).pieces("x", "x")
    assert [p.text for p in pieces if p.kind == "sentinel"] == [
        p.text for p in filled if p.kind == "sentinel"
    ]
    assert [p.token_ids for p in pieces if p.kind == "prefix" and not prefix] == [[]] * (not prefix)
    assert [p.token_ids for p in pieces if p.kind == "suffix" and not suffix] == [[]] * (not suffix)


def test_masks_must_be_given() -> None:
    with pytest.raises(ConfigError, match=r"family codebert .* set infill\.masks"):
        Encoder(CATALOG["codebert"], None, TINY["codebert"])


def test_fields_left_empty_stay_empty() -> None:
    text = "".join(p.text for p in encoder("codegeex4").pieces(P, S, NOWHERE))
    assert text.startswith("<|user|>\n###PATH:\n###LANGUAGE:\n###MODE:BLOCK\n<|code_suffix|>")


def test_a_sentinel_that_is_missing_is_named_in_any_family() -> None:
    wrong = TextTokenizer(tiny_json())
    for name, family in CATALOG.items():
        if family.sentinels(family.order) | set(family.stops) <= set(STARCODER_CONTROLS):
            continue
        with pytest.raises(ModelError, match=f"family {name}: the model's tokenizer has no '"):
            Encoder(family, None, wrong, masks=MASKS)


@pytest.mark.parametrize("name", CATALOG)
def test_a_record_made_of_sentinels_alone_is_text(name: str) -> None:
    typed = "".join(sorted(CATALOG[name].control_texts()))
    if CATALOG[name].tokenizer == "unigram":
        typed = typed.replace("▁", "")  # its tiny vocabulary has no such character
    tokenizer = TINY[name]
    pieces = encoder(name).pieces(typed, typed)
    for piece in pieces:
        if piece.kind in ("prefix", "suffix"):
            assert tokenizer.control_ids.isdisjoint(piece.token_ids)
            assert tokenizer.decode(piece.token_ids).lstrip(" ") == as_kept(name, typed).lstrip(" ")
    controls = [p.token_ids[0] for p in pieces if p.kind == "sentinel"]
    (prompt,) = encoder(name).encode([typed], [typed])
    assert isinstance(prompt, Prompt)
    assert [i for i in prompt.token_ids if i in tokenizer.control_ids] == controls
