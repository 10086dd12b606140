"""How a record that does not fit into the context is truncated."""

from __future__ import annotations

from collections.abc import Sequence


def split_budget(
    prefix: int, suffix: int, budget: int, prefix_share: float, align: int = 1
) -> tuple[int, int]:
    """Numbers of prefix and suffix tokens to keep so that both fit into `budget`.

    The prefix gets `prefix_share` of the budget and the suffix the rest; budget that one side does
    not need goes to the other. The number of dropped prefix tokens is a multiple of `align`, or all
    of them, so that the truncated prompts of one file's holes still begin with the same tokens and
    share them in the prefix cache.
    """
    if prefix + suffix <= budget:
        return prefix, suffix
    keep_prefix = min(prefix, max(int(budget * prefix_share), budget - suffix))
    dropped = -(-(prefix - keep_prefix) // align) * align
    keep_prefix = max(prefix - dropped, 0)
    return keep_prefix, min(suffix, budget - keep_prefix)


def files_dropped(sizes: Sequence[int], room: int) -> int:
    """Number of context files to drop from the front (farthest first) so that the rest fit `room`.

    Files are dropped whole, and all of them before prefix or suffix are cut.
    """
    total, dropped = sum(sizes), 0
    while dropped < len(sizes) and total > room:
        total -= sizes[dropped]
        dropped += 1
    return dropped
