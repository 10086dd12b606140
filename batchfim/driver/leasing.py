"""How many shards a worker may hold at once. Pure."""

from __future__ import annotations

from collections.abc import Collection

from batchfim.config import Schedule

_FEWEST = 2
_MOST_OF_ANY_SIZE = 16
_MOST_ROWS_HELD = 4  # times the engine's records in flight


def has_room(
    schedule: Schedule,
    in_flight: int,
    *,
    num_shards: int,
    rows_held: int,
    rows_ahead: Collection[int],
    num_waiting: float,
) -> bool:
    """Whether a worker should get one more shard.

    A worker gets two shards, so that one is read and encoded while the engine processes the other.
    It gets more while the rows that the engine has not begun are fewer than half of its records in
    flight, the other half of which already wait in the engine: a shard is held until its longest
    middle ends, and meanwhile the engine may have begun all the others. But a worker gets no more
    shards that are not begun than wait for each of the other workers.

    Beyond 16 shards, it gets more only if they are so small that all of them together are a few
    times what its engine has in flight, as all rows held are lost with the worker. And it then gets
    no more shards, begun or not, than wait for each of the other workers: one engine could begin
    hundreds of shards of a few rows while the others have none.

    Args:
        schedule: its `shards_in_hand` is the limit, if set.
        in_flight: most records in the worker's engine at once.
        num_shards: shards that the worker holds.
        rows_held: rows of all held shards.
        rows_ahead: rows of each held shard that the engine has not completely begun.
        num_waiting: unleased shards per other worker, including workers still to come.
    """
    if schedule.shards_in_hand is not None:
        return num_shards < schedule.shards_in_hand
    if num_shards < _FEWEST:
        return True
    if len(rows_ahead) >= num_waiting or sum(rows_ahead) >= in_flight // 2:
        return False
    if num_shards < _MOST_OF_ANY_SIZE:
        return True
    most = min(schedule.most_shards_in_hand, num_waiting)
    return num_shards < most and rows_held < _MOST_ROWS_HELD * in_flight
