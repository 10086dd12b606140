"""Generated ids become a middle: cut at the first stop, no control token, no byte changed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder
from batchfim.formats.finishing import Finisher, cut_at_stop
from batchfim.formats.tokenizer import TextTokenizer

END, FILE_SEP = 0, 6  # of StarCoder2


def finisher(tokenizer: TextTokenizer) -> Finisher:
    return Finisher(tokenizer, Encoder(CATALOG["starcoder2"], None, tokenizer).stop_token_ids)


def test_cut_at_the_first_of_several_stops() -> None:
    assert cut_at_stop([7, 8, 6, 9, 0], {0, 6}) == [7, 8]
    assert cut_at_stop([6], {0, 6}) == []
    assert cut_at_stop([7, 8], {0, 6}) == [7, 8]


def test_what_follows_a_stop_is_no_middle(starcoder2: TextTokenizer) -> None:
    one, other = starcoder2.encode(["  x = 1\n", "import os"])
    finish = finisher(starcoder2)
    assert finish.raw_middle([*one, FILE_SEP, *other, END]) == "  x = 1\n"
    assert finish.raw_middle([*one, END]) == "  x = 1\n"
    assert finish.raw_middle(one) == "  x = 1\n"
    assert finish.raw_middle([END, *one]) == ""


def test_control_tokens_that_are_no_stops_do_not_leak(starcoder2: TextTokenizer) -> None:
    one, other = starcoder2.encode([" a", " b"])
    controls = [starcoder2.token_id(text) for text in ("<issue_start>", "<jupyter_code>")]
    text = finisher(starcoder2).raw_middle([controls[0], *one, *controls, *other])
    assert text == " a b"


def test_fims_own_tokens_and_padding_end_a_middle(starcoder2: TextTokenizer) -> None:
    one, other = starcoder2.encode([" a", " b"])
    for text in ("<fim_prefix>", "<fim_pad>", "<repo_name>"):
        stop = starcoder2.token_id(text)
        assert finisher(starcoder2).raw_middle([*one, stop, *other]) == " a"


def test_leading_and_trailing_blanks_survive(starcoder2: TextTokenizer) -> None:
    for text in (" x", "    return 1\n\n", "\n", "\t\r\n", " ,  . n't"):
        (ids,) = starcoder2.encode([text])
        assert finisher(starcoder2).raw_middle([*ids, END]) == text


def test_a_character_of_several_tokens_is_whole(starcoder2: TextTokenizer) -> None:
    (ids,) = starcoder2.encode(["𓀀"])
    assert len(ids) > 1
    assert finisher(starcoder2).raw_middle([*ids, END]) == "𓀀"


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])), after=st.lists(st.integers(0, 255)))
def test_any_middle_comes_back(tiny: TextTokenizer, text: str, after: list[int]) -> None:
    (ids,) = tiny.encode([text])
    stop = tiny.token_id("<|endoftext|>")
    assert Finisher(tiny, [stop]).raw_middle([*ids, stop, *after]) == text
