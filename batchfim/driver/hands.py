"""How many shards a worker has in hand. Pure."""

from __future__ import annotations

from batchfim.config import Schedule

_FEWEST, _MOST = 2, 16


def has_room(
    schedule: Schedule, max_num_seqs: int, *, num_shards: int, num_rows: int, num_waiting: float
) -> bool:
    """Whether a worker is to get one more shard.

    Two shards, so that one is read and encoded while the engine works the other; more while they
    are so small that their rows together do not fill what the engine is given at once, and as many
    wait for each of the other workers.

    Args:
        schedule: `shards_in_hand` is the number where it is set.
        max_num_seqs: prompts the worker's engine works at a time.
        num_shards, num_rows: what it has in hand.
        num_waiting: shards in nobody's hand, for each worker there is or will be.
    """
    if schedule.shards_in_hand is not None:
        return num_shards < schedule.shards_in_hand
    if num_shards < _FEWEST:
        return True
    most = min(_MOST, num_waiting)
    return num_shards < most and num_rows < schedule.records_in_flight(max_num_seqs)
