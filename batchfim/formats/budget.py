"""What is kept of a record that does not fit into the context."""

from __future__ import annotations

from collections.abc import Sequence


def split_budget(
    prefix: int, suffix: int, budget: int, prefix_share: float, align: int = 1
) -> tuple[int, int]:
    """Tokens to keep of prefix and suffix so that both fit into `budget`.

    The prefix gets `prefix_share` of the budget, the suffix the rest; what one side does not need
    goes to the other. What is dropped of the prefix is a multiple of `align`, or all of it: cut on
    such a grid, holes of one file begin at the same tokens and go on sharing them.
    """
    if prefix + suffix <= budget:
        return prefix, suffix
    keep_prefix = min(prefix, max(int(budget * prefix_share), budget - suffix))
    dropped = -(-(prefix - keep_prefix) // align) * align
    keep_prefix = max(prefix - dropped, 0)
    return keep_prefix, min(suffix, budget - keep_prefix)


def files_dropped(sizes: Sequence[int], room: int) -> int:
    """How many context files go, from the front (farthest first), so that the rest fits `room`.

    Files go whole, and all of them before anything of prefix or suffix is cut.
    """
    total, dropped = sum(sizes), 0
    while dropped < len(sizes) and total > room:
        total -= sizes[dropped]
        dropped += 1
    return dropped
