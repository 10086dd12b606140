"""How many shards a worker has in hand. Pure."""

from __future__ import annotations

from collections.abc import Collection

from batchfim.config import Schedule

_FEWEST, _MOST = 2, 16


def has_room(
    schedule: Schedule,
    max_num_seqs: int,
    *,
    num_shards: int,
    rows_ahead: Collection[int],
    num_waiting: float,
) -> bool:
    """Whether a worker is to get one more shard.

    Two shards, so that one is read and encoded while the engine works the other. More while what
    the engine has not begun of them is less than half of what it is given at once, of which the
    other half waits in it already: a shard is in hand until its longest middle ends, and meanwhile
    the engine may have begun all the others. But no more that are not begun than wait for each of
    the other workers.

    Args:
        schedule: `shards_in_hand` is the number where it is set.
        max_num_seqs: prompts the worker's engine works at a time.
        num_shards: what it has in hand.
        rows_ahead: rows of each of those that the engine has not begun wholly.
        num_waiting: shards in nobody's hand, for each of the other workers there are or will be.
    """
    if schedule.shards_in_hand is not None:
        return num_shards < schedule.shards_in_hand
    if num_shards < _FEWEST:
        return True
    enough = schedule.records_in_flight(max_num_seqs) // 2
    return num_shards < _MOST and len(rows_ahead) < num_waiting and sum(rows_ahead) < enough
