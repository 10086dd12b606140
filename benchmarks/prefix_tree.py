"""The fewest prompt tokens an engine with a prefix cache can compute. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def fewest_computed_tokens(prompts: Iterable[Sequence[int]], block_size: int) -> int:
    """Tokens of the prompts' prefix tree, rounded up to what a cache of whole blocks can share.

    Each distinct prompt is asked once, nothing is ever dropped from the cache, and the order is the
    best one: every distinct run of whole blocks from a prompt's start is computed once, and what is
    left over at a prompt's end, less than a block, for each prompt.

    Args:
        prompts: token ids.
        block_size: tokens in a block of the cache.
    """
    nodes: dict[tuple[int, tuple[int, ...]], int] = {}  # (parent, the block's ids) to a number
    num_left_over = 0
    for prompt in {tuple(prompt) for prompt in prompts}:
        num_left_over += len(prompt) % block_size
        parent = -1
        for end in range(block_size, len(prompt) + 1, block_size):
            block = (parent, prompt[end - block_size : end])
            parent = nodes.setdefault(block, len(nodes))
    return num_left_over + block_size * len(nodes)
