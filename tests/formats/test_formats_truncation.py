"""Prompts that do not fit: what is cut, from where, and that the rest stays whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.errors import ConfigError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt, TooLong, split_budget
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.surroundings import Surroundings
from tests.formats.tiny import tiny_for

FORM = CATALOG["starcoder"]
PREFIX, MIDDLE, SUFFIX = 257, 258, 259  # of the tiny tokenizer
COUNTS = st.integers(0, 300)
WIDE_TEXTS = st.text(st.sampled_from("aé名😀\n"), max_size=30)


@settings(deadline=None)
@given(prefix=COUNTS, suffix=COUNTS, budget=COUNTS, share=st.floats(0, 1))
def test_split_budget(prefix: int, suffix: int, budget: int, share: float) -> None:
    kept = split_budget(prefix, suffix, budget, share)
    assert 0 <= kept[0] <= prefix
    assert 0 <= kept[1] <= suffix
    assert sum(kept) == min(prefix + suffix, budget)  # never over, and no room unused
    if sum(kept) == budget:
        own = int(budget * share)
        assert kept[0] >= min(prefix, own)  # neither side takes from the other's own share
        assert kept[1] >= min(suffix, budget - own)


def encode(tokenizer: TextTokenizer, prefix: str, suffix: str, size: int) -> Prompt:
    encoder = Encoder(FORM, "psm", tokenizer, max_prompt_tokens=size)
    (prompt,) = encoder.encode([prefix], [suffix])
    assert isinstance(prompt, Prompt)
    return prompt


def sides(tokenizer: TextTokenizer, prompt: Prompt) -> tuple[str, str]:
    ids = prompt.token_ids.tolist()
    split = ids.index(SUFFIX)
    assert (ids[0], ids[-1]) == (PREFIX, MIDDLE)
    assert sum(i in tokenizer.control_ids for i in ids) == 3
    return tokenizer.decode(ids[1:split]), tokenizer.decode(ids[split + 1 : -1])


def test_outer_ends_are_cut_and_counted(tiny: TextTokenizer) -> None:
    prompt = encode(tiny, "0123456789", "abcdefghij", 11)
    assert len(prompt.token_ids) == 11
    assert sides(tiny, prompt) == ("456789", "ab")
    assert (prompt.truncated_prefix_tokens, prompt.truncated_suffix_tokens) == (4, 8)


def test_room_one_side_leaves_goes_to_the_other(tiny: TextTokenizer) -> None:
    assert sides(tiny, encode(tiny, "0", "abcdefghij", 11)) == ("0", "abcdefg")
    assert sides(tiny, encode(tiny, "0123456789", "", 11)) == ("23456789", "")


def test_what_just_fits_is_not_touched(tiny: TextTokenizer) -> None:
    prompt = encode(tiny, "0123", "abcd", 11)
    assert sides(tiny, prompt) == ("0123", "abcd")
    assert (prompt.truncated_prefix_tokens, prompt.truncated_suffix_tokens) == (0, 0)


@settings(deadline=None, max_examples=300)
@given(prefix=WIDE_TEXTS, suffix=WIDE_TEXTS, size=st.integers(4, 60))
def test_a_cut_never_goes_through_a_character(
    tiny: TextTokenizer, prefix: str, suffix: str, size: int
) -> None:
    prompt = encode(tiny, prefix, suffix, size)
    before, after = sides(tiny, prompt)
    assert prefix.endswith(before)
    assert suffix.startswith(after)
    assert len(prompt.token_ids) <= size
    assert prompt.truncated_prefix_tokens == len(prefix.encode()) - len(before.encode())
    assert prompt.truncated_suffix_tokens == len(suffix.encode()) - len(after.encode())
    if prompt.truncated_prefix_tokens or prompt.truncated_suffix_tokens:
        assert len(prompt.token_ids) > size - 7  # at most 3 ids of a character on either side


@settings(deadline=None, max_examples=100)
@given(prefix=WIDE_TEXTS, suffix=WIDE_TEXTS, size=st.integers(4, 30))
def test_nor_on_the_real_vocabulary(
    starcoder2: TextTokenizer, prefix: str, suffix: str, size: int
) -> None:
    encoder = Encoder(CATALOG["starcoder2"], "spm_v2", starcoder2, max_prompt_tokens=size)
    (prompt,) = encoder.encode([prefix], [suffix])
    assert isinstance(prompt, Prompt)
    split = prompt.token_ids.index(2)
    assert suffix.startswith(starcoder2.decode(prompt.token_ids[2:split]))
    assert prefix.endswith(starcoder2.decode(prompt.token_ids[split + 1 :]))
    assert len(prompt.token_ids) <= size


def test_with_truncation_off_a_long_record_says_how_long(tiny: TextTokenizer) -> None:
    encoder = Encoder(FORM, "psm", tiny, max_prompt_tokens=10, truncate=False)
    fits, long = encoder.encode(["abcd", "abcde"], ["efg", "fgh"])
    assert isinstance(fits, Prompt)
    assert long == TooLong(prompt_tokens=11, budget_tokens=10, truncates=False)


def test_a_path_that_leaves_no_room_is_not_cut() -> None:
    form = CATALOG["starcoder2"]
    encoder = Encoder(form, "repo_psm", tiny_for(form), max_prompt_tokens=40)
    long, fits = encoder.encode(["x"] * 2, ["y"] * 2, [Surroundings("a/" * 60), Surroundings("a")])
    assert isinstance(long, TooLong)
    assert long.truncates
    assert isinstance(fits, Prompt)


@pytest.mark.parametrize("size", [-5, 0, 3])
def test_no_room_at_all_is_a_config_error(tiny: TextTokenizer, size: int) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.max_tokens leaves no room .* 3 sentinels"):
        Encoder(FORM, "psm", tiny, max_prompt_tokens=size)
    assert Encoder(FORM, "psm", tiny, max_prompt_tokens=4).num_sentinels == 3
