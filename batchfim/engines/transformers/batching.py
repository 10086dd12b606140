"""Choose the waiting prompts to compute together. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def pick_batch(
    lengths: Sequence[int], *, new_tokens: int, max_tokens: int, max_padding: float
) -> list[int]:
    """Pick the oldest prompt and all prompts that fit beside it, closest in length first.

    The oldest prompt is always included, so that no length waits forever; it is computed alone if
    it exceeds `max_tokens` by itself.

    Args:
        lengths: tokens of the waiting prompts, oldest first; at least one.
        new_tokens: tokens that may be generated for each prompt.
        max_tokens: limit for the whole batch: prompts padded to the longest, plus generation.
        max_padding: limit for the share of padding in the padded prompts, from 0 to below 1.

    Returns:
        Places in `lengths`, in the order in which they were picked.
    """
    nearest = sorted(range(len(lengths)), key=lambda place: abs(lengths[place] - lengths[0]))
    batch = nearest[:1]
    longest = total = lengths[0]
    for place in nearest[1:]:
        size = len(batch) + 1
        padded = max(longest, lengths[place]) * size
        filled = total + lengths[place]
        if padded + new_tokens * size <= max_tokens and padded - filled <= max_padding * padded:
            batch.append(place)
            longest, total = max(longest, lengths[place]), filled
    return batch
