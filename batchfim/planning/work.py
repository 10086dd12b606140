"""What a run has to do: new shards, pending shards, and those that a changed file supersedes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile, Shard

_MANY_FILES, _FEW_ROWS = 1000, 64


@dataclass(frozen=True)
class WorkPlan:
    """Shards to add to the plan, pending shards, and finished shards to be withdrawn."""

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
    """Compare the current input with what is planned and done.

    A planned file keeps its shards, whatever `shard_rows` is now, even under another path. Finished
    work of a file that is gone is kept; that of a file that changed under the same path is not.

    `contents` gives the content of every planned file by file id. With it, `planned` may leave out
    done shards of unchanged files, which are most of a large job.
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
    """The content of each shard's file, by file id."""
    return {shard.file: shard.content for shard in shards}


def absent_files(files: Sequence[InputFile], contents: Mapping[str, str]) -> set[str]:
    """Ids of planned files whose content is no longer in the input."""
    return contents.keys() - current_paths(files, contents).keys()


def absent_warning(
    planned: Iterable[Shard], done: Collection[str], absent: Collection[str]
) -> str | None:
    """A warning about planned shards that nobody processes, as their files are gone.

    Args:
        planned: the job's shards.
        done: ids of done shards.
        absent: ids of planned files that are no longer in the input.
    """
    shards = [shard for shard in planned if shard.file in absent and shard.id not in done]
    if not shards:
        return None
    return (
        f"{sum(shard.num_rows for shard in shards):,} planned records are not processed, as "
        f"{len({shard.file for shard in shards}):,} files are no longer in the input, such as "
        f"{shards[0].path}; if that is a mistake, run the job again with these files"
    )


def rewritten_warning(files: Iterable[InputFile], known_at: Mapping[str, datetime]) -> str | None:
    """A warning about files that were rewritten since they were planned and look unchanged.

    Args:
        files: the current input files.
        known_at: when each file was first seen, by file id.
    """
    paths = [
        file.path
        for file in files
        if file.written_at and file.id in known_at and file.written_at > known_at[file.id]
    ]
    if not paths:
        return None
    return (
        f"{len(paths)} input files, such as {paths[0]}, were rewritten after they were planned, "
        "with the same size and footer: if rows changed, those already done are not run again; "
        "write corrected data to files with other names"
    )


def small_files_warning(files: Collection[InputFile]) -> str | None:
    """A warning about many files of a few rows each, as every file is at least one shard."""
    num_rows = sum(file.num_rows for file in files)
    if len(files) < _MANY_FILES or num_rows >= _FEW_ROWS * len(files):
        return None
    return (
        f"the input has {len(files):,} files of {num_rows / len(files):,.1f} rows on average; each "
        "file is read by itself and becomes a part of its own, which can take longer than filling "
        "its holes; merge them into files of some thousand rows"
    )


def current_paths(files: Sequence[InputFile], contents: Mapping[str, str]) -> dict[str, str]:
    """The current path of each planned file: its own, or that of a new file with its content."""
    where = {file.id: file.path for file in files if file.id in contents}
    unknown: dict[str, list[str]] = {}
    for file in files:
        if file.id not in contents:
            unknown.setdefault(file.content, []).append(file.path)
    for planned_file, content in contents.items():
        if planned_file not in where and unknown.get(content):
            where[planned_file] = unknown[content].pop(0)
    return where
