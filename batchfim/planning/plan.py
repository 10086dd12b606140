"""What a run has to do: new shards for new files, pending ones, and what a changed file voids."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

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
    shard_rows: int | None,
    fingerprint: str,
    *,
    num_workers: int = 1,
    contents: Mapping[str, str] | None = None,
) -> WorkPlan:
    """Compare the input as it is with what was planned and done.

    A file that was planned keeps its shards, whatever `shard_rows` says today, also under another
    path. Finished work of a file that is gone stays; that of a file that changed under the same
    path does not.

    `contents` tells every planned file's content by its id; with it, `planned` may leave out shards
    that are done of files that are as they were, which are most of a large job.
    """
    where = current_paths(files, contents_of(planned) if contents is None else contents)
    known = set(where.values())
    new = [file for file in files if file.path not in known]
    added = cut_shards(new, shard_rows, fingerprint, num_workers)
    wanted = [s for s in planned if s.file in where and s.id not in done]
    paths = {file.path for file in files}
    return WorkPlan(
        added=added,
        pending=[
            *(s if s.path == where[s.file] else replace(s, path=where[s.file]) for s in wanted),
            *(shard for shard in added if shard.id not in done),
        ],
        superseded=[
            shard
            for shard in planned
            if shard.id in done and shard.path in paths and shard.file not in where
        ],
    )


def contents_of(shards: Iterable[Shard]) -> dict[str, str]:
    """The content of each shard's file, by the file's id."""
    return {shard.file: shard.content for shard in shards}


def absent_files(files: Sequence[InputFile], contents: Mapping[str, str]) -> set[str]:
    """Ids of planned files whose content the input no longer has."""
    return contents.keys() - current_paths(files, contents).keys()


def rewritten(files: Iterable[InputFile], known_at: Mapping[str, datetime]) -> str | None:
    """A warning of files that were written since they were known, and look as they did.

    Args:
        files: the input's, today.
        known_at: when each was seen first, by its id.
    """
    paths = [
        file.path
        for file in files
        if file.written_at and file.id in known_at and file.written_at > known_at[file.id]
    ]
    if not paths:
        return None
    return (
        f"{len(paths)} input files, such as {paths[0]}, were written after they were planned, and "
        "have the size and the footer they had: if rows in them changed, done ones stay as they "
        "are; write corrected data to files of other names"
    )


def current_paths(files: Sequence[InputFile], contents: Mapping[str, str]) -> dict[str, str]:
    """Today's path of each planned file: its own, or that of a new file with its content."""
    where = {file.id: file.path for file in files if file.id in contents}
    unknown: dict[str, list[str]] = {}
    for file in files:
        if file.id not in contents:
            unknown.setdefault(file.content, []).append(file.path)
    for planned_file, content in contents.items():
        if planned_file not in where and unknown.get(content):
            where[planned_file] = unknown[content].pop(0)
    return where
