"""What prompts share: the least an engine with a prefix cache computes, and which are equal."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from batchfim.planning.ordering import sharing_order


def tree_tokens(prompts: Sequence[array[int]], block: int = 1) -> int:
    """The prefix-tree bound: prompt tokens that must be computed, however prompts are ordered.

    With blocks of one token it is the number of nodes of the prompts' tree. A cache that keeps
    blocks gives back whole ones only, so what a prompt shares is rounded down to blocks, and what
    it computes up. Of equal prompts one is computed.

    In sorted order, what a prompt shares with any before it, it shares with its neighbour.

    Args:
        prompts: token ids.
        block: tokens in a block of the engine's cache.
    """
    ordered = [prompts[position] for position in sharing_order(prompts)]
    computed, before = 0, array("I")
    for prompt in ordered:
        if prompt != before:
            computed += len(prompt) - common_tokens(before, prompt) // block * block
        before = prompt
    return computed


def common_tokens(one: array[int], other: array[int]) -> int:
    """Length of the common start of two prompts, by bisection: slices compare in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        half = (low + high + 1) // 2
        if one[low:half] == other[low:half]:
            low = half
        else:
            high = half - 1
    return low


def equal_runs(prompts: Sequence[array[int]], order: Sequence[int]) -> Iterator[list[int]]:
    """Positions in sharing order, those of equal prompts together in one list.

    Args:
        prompts: token ids.
        order: as `sharing_order` gives it.
    """
    run: list[int] = []
    for position in order:
        if run and prompts[position] != prompts[run[0]]:
            yield run
            run = []
        run.append(position)
    if run:
        yield run
