"""From ids to a finished middle: which rule ended and cut it, and how many tokens were for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.finishing import Finisher, Middle
from batchfim.formats.rules import StopRule, TrimRule
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.records import Hole
from tests.formats.test_formats_custom import OWN, mistral  # noqa: F401

STOP, PAD = "<|endoftext|>", "<fim_middle>"
HOLE = Hole("def f(x):\n    ", "\n    return x\n")
STOPS: tuple[StopRule, ...] = ("eot", "suffix_start", "block", "line")
TRIMS: tuple[TrimRule, ...] = ("suffix_overlap", "line", "syntax")
TEXTS = st.text(st.sampled_from("ab =(\n\t\ré😀"), max_size=30)


def finish(
    tiny: TextTokenizer,
    text: str,
    *,
    hole: Hole = HOLE,
    stop: tuple[StopRule, ...] = ("eot",),
    trim: tuple[TrimRule, ...] = (),
    ended: str = "eot",
) -> Middle:
    (ids,) = tiny.encode([text])
    ids = [*ids, tiny.token_id(STOP)] if ended == "eot" else ids
    finisher = Finisher(tiny, [tiny.token_id(STOP)], stop, trim)
    return finisher.finish(ids, hole, reached_limit=ended == "length", language="python")


def test_by_default_the_middle_is_the_raw_one(tiny: TextTokenizer) -> None:
    text = "y = 1\n    return x\n"
    assert finish(tiny, text) == Middle(text, text, "eot", None, "suffix_echo", len(text))
    ended = finish(tiny, "y = ", ended="length")
    assert ended == Middle("y = ", "y = ", "length", None, None, 4)


def test_the_rule_that_ended_it_is_named(tiny: TextTokenizer) -> None:
    text = "y = 1\n    z = 2\n    return x\nq"
    for rule, expected in (
        ("line", "y = 1"),
        ("block", "y = 1\n    z = 2\n    return x"),
        ("suffix_start", "y = 1\n    z = 2"),
    ):
        for ended in ("eot", "length"):
            middle = finish(tiny, text, stop=("eot", rule), ended=ended)
            assert (middle.text, middle.stop_rule) == (expected, rule)
            assert (middle.raw, middle.kept_tokens) == (text, len(expected))


def test_the_rules_that_cut_it_are_named_in_their_order(tiny: TextTokenizer) -> None:
    text = "y = (1\n    return x\n    z ="
    middle = finish(tiny, text, trim=("line", "suffix_overlap", "syntax"), ended="length")
    assert middle.trim_rule == "line,suffix_overlap,syntax"
    assert (middle.text, middle.stop_rule) == ("y ", "length")
    assert middle.kept_tokens == 2


def test_a_line_that_a_stop_rule_ended_is_not_unfinished(tiny: TextTokenizer) -> None:
    middle = finish(tiny, "y = 1\n    z", stop=("eot", "line"), trim=("line",), ended="length")
    assert (middle.text, middle.trim_rule) == ("y = 1", None)


def test_pads_are_not_kept_and_are_a_loop(tiny: TextTokenizer) -> None:
    (ids,) = tiny.encode(["ab"])
    finisher = Finisher(tiny, [tiny.token_id(STOP)])
    middle = finisher.finish([*ids, *[tiny.token_id(PAD)] * 20], HOLE, reached_limit=True)
    assert middle == Middle("ab", "ab", "length", None, "pad_loop", 2)


def test_a_character_of_several_tokens_is_kept_whole(tiny: TextTokenizer) -> None:
    middle = finish(tiny, "é😀\nb", stop=("eot", "line"))
    assert (middle.text, middle.kept_tokens) == ("é😀", 6)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_character_that_is_not_complete_is_not_kept(tiny: TextTokenizer, missing: int) -> None:
    (ids,) = tiny.encode(["é😀"])
    for ended in (ids[:-missing], [*ids[:-missing], tiny.token_id(STOP)]):
        finisher = Finisher(tiny, [tiny.token_id(STOP)])
        middle = finisher.finish(ended, HOLE, reached_limit=True)
        assert (middle.text, middle.kept_tokens) == ("é", 2)


def test_no_rule_no_check(tiny: TextTokenizer) -> None:
    assert Finisher(tiny, [0]).stop_checks(HOLE) is None
    assert Finisher(tiny, [0], ("eot", "line")).stop_checks(HOLE) is not None


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, prefix=TEXTS, suffix=TEXTS, limit=st.booleans())
def test_ending_early_gives_the_middle_that_cutting_afterwards_gives(
    tiny: TextTokenizer, text: str, prefix: str, suffix: str, limit: bool
) -> None:
    hole = Hole(prefix, suffix)
    finisher = Finisher(tiny, [tiny.token_id(STOP)], STOPS, TRIMS)
    new_check = finisher.stop_checks(hole)
    assert new_check is not None
    check = new_check()
    (ids,) = tiny.encode([text])
    early = next((ids[:n] for n, token_id in enumerate(ids, 1) if check(token_id)), ids)
    late = finisher.finish(ids, hole, reached_limit=limit, language="python")
    soon = finisher.finish(early, hole, reached_limit=limit and early == ids, language="python")
    assert (soon.text, soon.trim_rule, soon.kept_tokens) == (
        late.text,
        late.trim_rule,
        late.kept_tokens,
    )
    assert late.raw.startswith(soon.raw)
    assert soon.raw.startswith(soon.text)


@settings(deadline=None)
@given(text=TEXTS, keep=st.integers(0, 30))
def test_kept_tokens_are_just_enough(tiny: TextTokenizer, text: str, keep: int) -> None:
    """Here a token is a byte, so the tokens kept are the middle's bytes."""
    line = text[:keep].replace("\n", "")
    middle = finish(tiny, f"x{line}\n{text}", stop=("eot", "line"))
    assert middle.kept_tokens == len(middle.text.encode())
    assert middle.text == f"x{line}".removesuffix("\r")


def test_an_echo_is_one_also_where_a_rule_drops_it(tiny: TextTokenizer) -> None:
    middle = finish(tiny, "y = 1\n    return x\n", trim=("suffix_overlap",))
    assert (middle.text, middle.trim_rule, middle.degenerate) == (
        "y = 1",
        "suffix_overlap",
        "suffix_echo",
    )
