"""One length of prompt for models of different contexts. Pure.

A longer prompt tells a model more and costs more, so that a comparison in which each model fills a
context of its own compares contexts. Here every row may use as many prompt tokens as the model with
the least room has.
"""

from __future__ import annotations

from collections.abc import Mapping


def common_room(rooms: Mapping[str, int | None]) -> int | None:
    """Prompt tokens that every model has room for; None: no model has a limit.

    Args:
        rooms: of each model, its context less what generation takes of it; None: no limit.
    """
    return min((room for room in rooms.values() if room is not None), default=None)


def room_note(rooms: Mapping[str, int | None]) -> str:
    """What a reader must know of it."""
    room = common_room(rooms)
    if room is None:
        return "no model has a limit on its prompts: none is cut"
    least = [name for name, own in rooms.items() if own == room]
    longer = [name for name, own in rooms.items() if own is None or own > room]
    same = f"prompts have at most {room:,} tokens in every row, longer ones are cut alike"
    if not longer:
        return f"{same}: the room of every model; tokens are each tokenizer's own"
    return (
        f"{same}: the room of {', '.join(least)}, the least of all; {len(longer)} others have more "
        "and do not use it here; tokens are each tokenizer's own"
    )
