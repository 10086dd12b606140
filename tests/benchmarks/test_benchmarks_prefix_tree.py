"""The bound that the sharing benchmark divides by."""

from __future__ import annotations

import pytest

from benchmarks.prefix_tree import fewest_computed_tokens


@pytest.mark.parametrize(
    ("prompts", "tokens"),
    [
        ([], 0),
        ([[1, 2, 3]], 3),
        ([[1, 2, 3], [1, 2, 3, 4]], 3 + 4),  # three shared ids are no block
        ([[1, 2, 3, 4, 5], [1, 2, 3, 4, 6, 7]], 4 + 1 + 2),
        ([[1, 2, 3, 4, 5], [9, 2, 3, 4, 5]], 10),
        ([[1, 2, 3, 4] * 2, [5, 6, 7, 8, 1, 2, 3, 4]], 16),  # a block counts where it stands
        ([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]], 5),  # asked once
    ],
)
def test_each_whole_block_of_the_tree_counts_once_and_what_is_left_for_each_prompt(
    prompts: list[list[int]], tokens: int
) -> None:
    assert fewest_computed_tokens(prompts, 4) == tokens


def test_the_order_of_the_prompts_does_not_matter() -> None:
    prompts = [[1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2], [7] * 9]
    forwards = fewest_computed_tokens(prompts, 2)
    assert forwards == fewest_computed_tokens(reversed(prompts), 2)
