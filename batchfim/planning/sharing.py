"""What prompts share: the fewest tokens a prefix cache leaves to compute, and equal prompts."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from batchfim.planning.ordering import sharing_order


def tree_tokens(prompts: Sequence[array[int]], block: int = 1) -> int:
    """The prefix-tree bound: prompt tokens that must be computed in any order of the prompts.

    With blocks of one token, it is the number of nodes of the prompts' tree. A block-based cache
    returns only whole blocks, so what a prompt shares is rounded down to blocks, and what it
    computes is rounded up. Equal prompts are computed once.

    In sorted order, a prompt shares with its predecessor all that it shares with any earlier one.

    Args:
        prompts: token ids.
        block: tokens per block of the engine's cache.
    """
    ordered = [prompts[position] for position in sharing_order(prompts)]
    computed, before = 0, array("I")
    for prompt in ordered:
        if prompt != before:
            computed += len(prompt) - common_tokens(before, prompt) // block * block
        before = prompt
    return computed


def common_tokens(one: array[int], other: array[int]) -> int:
    """Length of the common prefix of two prompts, by bisection, as slices compare in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        half = (low + high + 1) // 2
        if one[low:half] == other[low:half]:
            low = half
        else:
            high = half - 1
    return low


def equal_runs(prompts: Sequence[array[int]], order: Sequence[int]) -> Iterator[list[int]]:
    """Positions in sharing order, with those of equal prompts together in one list.

    Args:
        prompts: token ids.
        order: positions from `sharing_order`.
    """
    run: list[int] = []
    for position in order:
        if run and prompts[position] != prompts[run[0]]:
            yield run
            run = []
        run.append(position)
    if run:
        yield run
