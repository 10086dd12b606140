"""Check that the planned shards cover every row of each file exactly once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from batchfim.shards import Shard


def holes_and_overlaps(planned: Iterable[Shard]) -> Iterator[str]:
    """Row ranges of a file that are in no shard or in several, one line each.

    The plan does not know how long a file is, so missing rows after the last shard are not found.
    """
    by_file = sorted(planned, key=lambda shard: (shard.file, shard.start))
    for _, shards in groupby(by_file, key=lambda shard: shard.file):
        end = 0
        for shard in shards:
            if shard.start > end:
                yield f"{shard.path}: rows {end} to {shard.start - 1} are in no planned shard"
            if shard.start < end:
                last = min(end, shard.start + shard.num_rows) - 1
                yield (
                    f"{shard.path}: rows {shard.start} to {last} are in more than one shard; "
                    f"the later one is {shard.id}"
                )
            end = max(end, shard.start + shard.num_rows)
