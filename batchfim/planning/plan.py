"""What a run has to do: new shards for new files, pending ones, and what a changed file voids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile, Shard


@dataclass(frozen=True)
class WorkPlan:
    """`added` is new to the plan, `pending` is to be worked, `superseded` is to be withdrawn."""

    added: list[Shard]
    pending: list[Shard]
    superseded: list[Shard]


def plan_work(
    files: Sequence[InputFile],
    planned: Sequence[Shard],
    done: Collection[str],
    shard_rows: int,
    fingerprint: str,
) -> WorkPlan:
    """Compare the input as it is with what was planned and done.

    A file that was planned keeps its shards, whatever `shard_rows` says today. Finished work of a
    file that is gone stays; that of a file that changed under the same path does not.
    """
    known = {shard.file for shard in planned}
    current = {file.id for file in files}
    paths = {file.path for file in files}
    added = cut_shards([file for file in files if file.id not in known], shard_rows, fingerprint)
    wanted = [shard for shard in planned if shard.file in current] + added
    return WorkPlan(
        added=added,
        pending=[shard for shard in wanted if shard.id not in done],
        superseded=[
            shard
            for shard in planned
            if shard.id in done and shard.path in paths and shard.file not in current
        ],
    )
