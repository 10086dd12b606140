"""The order of prompts shares as much prefix as any order can."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.planning.ordering import sharing_order

Ids = Sequence[int]
PROMPTS = st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=6)


def common(one: Ids, other: Ids) -> int:
    for length, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return length
    return min(len(one), len(other))


def ordered(prompts: list[Ids]) -> list[Ids]:
    order = sharing_order([array("I", prompt) for prompt in prompts])
    assert sorted(order) == list(range(len(prompts)))
    return [prompts[i] for i in order]


def shared(prompts: list[Ids]) -> int:
    """Tokens a cache saves that holds the prompt before, whole."""
    return sum(common(before, after) for before, after in pairwise(prompts))


def tree_size(prompts: list[Ids]) -> int:
    return len({tuple(prompt[: i + 1]) for prompt in prompts for i in range(len(prompt))})


@settings(deadline=None)
@given(prompts=PROMPTS)
def test_no_order_shares_more(prompts: list[Ids]) -> None:
    best = max(shared([prompts[i] for i in p]) for p in permutations(range(len(prompts))))
    assert shared(ordered(prompts)) == best


@pytest.mark.parametrize("seed", range(5))
def test_only_distinct_nodes_of_the_prompt_tree_are_computed(seed: int) -> None:
    draw = random.Random(seed)
    prompts = [draw.choices(range(3), k=draw.randrange(20)) for _ in range(300)]
    assert sum(map(len, prompts)) - shared(ordered(prompts)) == tree_size(prompts)
    assert sum(map(len, prompts)) - shared(prompts) > tree_size(prompts)  # as they came


def test_equal_prompts_keep_their_order() -> None:
    assert sharing_order([array("I", [i]) for i in (1, 0, 1, 0, 1)]) == [1, 3, 0, 2, 4]
