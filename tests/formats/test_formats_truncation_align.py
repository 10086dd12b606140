"""Prefixes cut on a grid: nothing over the budget, and equal starts for the holes of one file."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.errors import ConfigError
from batchfim.formats.budget import split_budget
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt
from batchfim.formats.tokenizer import TextTokenizer

COUNTS = st.integers(0, 300)
SHARES = st.floats(0, 1)
GRIDS = st.integers(1, 100)
FORM = CATALOG["starcoder"]
FILE = "".join(f"line {number}: é\n" for number in range(40))


@settings(deadline=None)
@given(prefix=COUNTS, suffix=COUNTS, budget=COUNTS, share=SHARES, align=GRIDS)
def test_what_is_dropped_is_a_multiple_or_all_and_the_rest_fits(
    prefix: int, suffix: int, budget: int, share: float, align: int
) -> None:
    keep = split_budget(prefix, suffix, budget, share, align)
    exact = split_budget(prefix, suffix, budget, share)
    assert sum(keep) <= budget or keep == (prefix, suffix)
    assert 0 <= keep[0] <= exact[0]
    assert exact[1] <= keep[1] <= suffix
    dropped = prefix - keep[0]
    assert dropped % align == 0 or keep[0] == 0
    assert dropped - (prefix - exact[0]) < align  # no more than the grid asks for
    assert 0 <= sum(exact) - sum(keep) < align


def prompts(tokenizer: TextTokenizer, align: int, cuts: list[int], size: int) -> list[Prompt]:
    encoder = Encoder(FORM, "psm", tokenizer, max_prompt_tokens=size, align=align)
    encoded = encoder.encode([FILE[:cut] for cut in cuts], [FILE[cut:] for cut in cuts])
    return [prompt for prompt in encoded if isinstance(prompt, Prompt)]


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(FILE)), min_size=2, max_size=8),
    align=st.integers(1, 90),
    size=st.integers(130, 300),
)
def test_holes_of_one_file_that_drop_alike_begin_alike(
    tiny: TextTokenizer, cuts: list[int], align: int, size: int
) -> None:
    starts: dict[int, array[int]] = {}
    for cut, prompt in zip(cuts, prompts(tiny, align, cuts, size), strict=True):
        assert len(prompt.token_ids) <= size
        kept = len(FILE[:cut].encode()) - prompt.truncated_prefix_tokens
        dropped = prompt.truncated_prefix_tokens
        # A character of two tokens may be on the cut: it goes whole.
        assert dropped % align in (0, 1 % align) or kept <= 1
        own = prompt.token_ids[1 : 1 + kept]
        other = starts.setdefault(dropped, own)
        common = min(len(own), len(other))
        assert own[:common] == other[:common]


def test_a_grid_that_leaves_nothing_of_a_long_prefix_is_refused(tiny: TextTokenizer) -> None:
    Encoder(FORM, "psm", tiny, max_prompt_tokens=103, align=75)
    with pytest.raises(ConfigError, match=r"align 76 would leave nothing .* gets 75 tokens"):
        Encoder(FORM, "psm", tiny, max_prompt_tokens=103, align=76)
    Encoder(FORM, "psm", tiny, max_prompt_tokens=103, align=76, truncate=False)


def test_the_grid_lets_neighbouring_holes_share_what_exact_cuts_do_not(
    tiny: TextTokenizer,
) -> None:
    cuts = list(range(300, 340, 4))
    exact, aligned = (prompts(tiny, align, cuts, 200) for align in (1, 64))
    assert len({prompt.truncated_prefix_tokens for prompt in exact}) == len(cuts)
    assert len({prompt.truncated_prefix_tokens for prompt in aligned}) <= 2
