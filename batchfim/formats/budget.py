"""What is kept of a record that does not fit into the context."""

from __future__ import annotations

from collections.abc import Sequence


def split_budget(prefix: int, suffix: int, budget: int, prefix_share: float) -> tuple[int, int]:
    """Tokens to keep of prefix and suffix so that both fit into `budget`.

    The prefix gets `prefix_share` of the budget, the suffix the rest; what one side does not need
    goes to the other.
    """
    if prefix + suffix <= budget:
        return prefix, suffix
    keep_prefix = min(prefix, max(int(budget * prefix_share), budget - suffix))
    return keep_prefix, budget - keep_prefix


def files_dropped(sizes: Sequence[int], room: int) -> int:
    """How many context files go, from the front (farthest first), so that the rest fits `room`.

    Files go whole, and all of them before anything of prefix or suffix is cut.
    """
    total, dropped = sum(sizes), 0
    while dropped < len(sizes) and total > room:
        total -= sizes[dropped]
        dropped += 1
    return dropped
