"""How many shards a worker may hold at once. Pure."""

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
    """Whether a worker should get one more shard.

    A worker gets two shards, so that one is read and encoded while the engine processes the other.
    It gets more while the rows that the engine has not begun are fewer than half of its records in
    flight, the other half of which already wait in the engine: a shard is held until its longest
    middle ends, and meanwhile the engine may have begun all the others. But a worker gets no more
    shards that are not begun than wait for each of the other workers.

    Args:
        schedule: its `shards_in_hand` is the limit, if set.
        max_num_seqs: prompts that the worker's engine processes at a time.
        num_shards: shards that the worker holds.
        rows_ahead: rows of each held shard that the engine has not completely begun.
        num_waiting: unleased shards per other worker, including workers still to come.
    """
    if schedule.shards_in_hand is not None:
        return num_shards < schedule.shards_in_hand
    if num_shards < _FEWEST:
        return True
    enough = schedule.records_in_flight(max_num_seqs) // 2
    return num_shards < _MOST and len(rows_ahead) < num_waiting and sum(rows_ahead) < enough
