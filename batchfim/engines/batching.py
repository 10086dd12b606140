"""Which of the waiting prompts are computed together. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def pick_batch(
    lengths: Sequence[int], *, new_tokens: int, max_tokens: int, max_padding: float
) -> list[int]:
    """The oldest prompt and, nearest in length first, all that fit beside it.

    The oldest is always among them, so that no length waits for ever, and goes alone where it
    exceeds `max_tokens` by itself.

    Args:
        lengths: tokens of the waiting prompts, oldest first; one at least.
        new_tokens: tokens that may be generated for each.
        max_tokens: bound of the whole batch, prompts padded to the longest, generation included.
        max_padding: bound of the padding's share in the padded prompts, 0 to below 1.

    Returns:
        places in `lengths`, in the order of their choice.
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
