"""The prefix-tree bound is what brute force counts."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from batchfim.planning.ordering import sharing_order
from batchfim.planning.sharing import common_tokens, equal_runs, tree_tokens

IDS = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(lambda ids: array("I", ids))
PROMPTS = st.lists(IDS, max_size=12)


def starts(prompt: array[int]) -> list[tuple[int, ...]]:
    return [tuple(prompt[: end + 1]) for end in range(len(prompt))]


@given(prompts=PROMPTS)
def test_with_single_tokens_the_bound_is_the_number_of_tree_nodes(
    prompts: list[array[int]],
) -> None:
    assert tree_tokens(prompts) == len({start for prompt in prompts for start in starts(prompt)})


@given(prompts=PROMPTS, block=st.integers(1, 5))
def test_the_bound_is_what_a_cache_of_whole_blocks_computes_in_any_order(
    prompts: list[array[int]], block: int
) -> None:
    cached: set[tuple[int, ...]] = set()
    computed = 0
    for prompt in dict.fromkeys(map(tuple, prompts)):
        blocks = [prompt[:end] for end in range(block, len(prompt) + 1, block)]
        hits = [start for start in blocks if start in cached]
        computed += len(prompt) - block * len(hits)
        cached.update(blocks)
    assert tree_tokens(prompts, block) == computed


@given(one=IDS, other=IDS)
def test_a_common_start_is_as_long_as_it_can_be(one: array[int], other: array[int]) -> None:
    assert common_tokens(one, other) == len({*starts(one)} & {*starts(other)})


@given(prompts=PROMPTS)
def test_runs_are_the_sharing_order_with_equal_prompts_together(
    prompts: list[array[int]],
) -> None:
    order = sharing_order(prompts)
    runs = list(equal_runs(prompts, order))
    assert [position for run in runs for position in run] == order
    assert len(runs) == len({tuple(prompt) for prompt in prompts})
    assert all(len({tuple(prompts[position]) for position in run}) == 1 for run in runs)
