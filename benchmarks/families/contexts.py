"""A common prompt length for models with different context lengths; pure functions.

A longer prompt tells a model more and costs more, so a comparison in which each model fills its own
context would compare contexts. Therefore every row may use only as many prompt tokens as the model
with the least room.
"""

from __future__ import annotations

from collections.abc import Mapping


def common_room(rooms: Mapping[str, int | None]) -> int | None:
    """Number of prompt tokens that every model has room for; None if no model has a limit.

    Args:
        rooms: each model's context length minus what generation needs; None for no limit.
    """
    return min((room for room in rooms.values() if room is not None), default=None)


def room_note(rooms: Mapping[str, int | None]) -> str:
    """Note on the common room for the comparison's readers."""
    room = common_room(rooms)
    if room is None:
        return "no model limits the prompt length, so no prompt is truncated"
    least = [name for name, own in rooms.items() if own == room]
    longer = [name for name, own in rooms.items() if own is None or own > room]
    same = f"prompts have at most {room:,} tokens in every row, and longer ones are truncated alike"
    if not longer:
        return f"{same}: this is the room of every model; tokens are those of each tokenizer"
    return (
        f"{same}: this is the room of {', '.join(least)}, the smallest; {len(longer)} others have "
        "more but do not use it here; tokens are those of each tokenizer"
    )
