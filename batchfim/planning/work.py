"""What a run has to do: new shards, pending shards, and those that a changed file supersedes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile, SeenFiles, Shard

_MANY_FILES, _FEW_ROWS = 1000, 64
_NOTHING_SEEN = SeenFiles()


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
    where: Mapping[str, str] | None = None,
    superseded: Collection[str] | None = None,
) -> WorkPlan:
    """Compare the current input with what is planned and done.

    A planned file keeps its shards, whatever `shard_rows` is now, even under another path. Finished
    work of a file that is gone is kept; that of a file that changed where it was last seen is not.

    Args:
        files: the current input files.
        planned: the job's shards. With `where` and `superseded`, done shards of files that are in
            the input may be left out, which are most of a large job.
        done: ids of done shards.
        shard_rows: most rows of a new shard, if it is set.
        fingerprint: the job's.
        num_workers: the work is cut for so many.
        where: the current path of each planned file, if known, as from `current_paths`.
        superseded: ids of planned files that have changed, if known, as from `seen_files`.
    """
    if where is None:
        where = current_paths(files, contents_of(planned))
    if superseded is None:
        superseded = _changed(files, planned, where)
    known = set(where.values())
    new = [file for file in files if file.path not in known]
    added = cut_shards(new, shard_rows, fingerprint, num_workers)
    wanted = [s for s in planned if s.file in where and s.id not in done]
    return WorkPlan(
        added=added,
        pending=[
            *(s if s.path == where[s.file] else replace(s, path=where[s.file]) for s in wanted),
            *(shard for shard in added if shard.id not in done),
        ],
        superseded=[shard for shard in planned if shard.id in done and shard.file in superseded],
    )


def contents_of(shards: Iterable[Shard]) -> dict[str, str]:
    """The content of each shard's file, by file id."""
    return {shard.file: shard.content for shard in shards}


def seen_files(
    files: Sequence[InputFile],
    planned: Iterable[Shard],
    contents: Mapping[str, str],
    where: Mapping[str, str],
    before: SeenFiles,
) -> SeenFiles:
    """What this run sees of the planned files that are not where they were planned.

    Args:
        files: the current input files.
        planned: all shards of files that are not in the input, where these were last seen.
        contents: the content of every planned file, by file id.
        where: the current path of each planned file that is in the input.
        before: what the last run saw.
    """
    in_place = {file.id for file in files}
    moved = {file: path for file, path in before.moved.items() if file in contents}
    # A file that moved back keeps its entry: halves of its shards may be planned where it was.
    moved |= {f: path for f, path in where.items() if f in moved or f not in in_place}
    gone = contents.keys() - where.keys()
    # A file stays superseded when the one that took its place moves or goes in turn.
    superseded = (gone & before.superseded) | _changed(files, planned, where)
    return SeenFiles(moved, frozenset(gone - superseded), frozenset(superseded))


def _changed(
    files: Iterable[InputFile], planned: Iterable[Shard], where: Mapping[str, str]
) -> set[str]:
    """Ids of planned files with other content where they were last seen, and theirs nowhere."""
    paths = {file.path for file in files}
    return {shard.file for shard in planned if shard.file not in where and shard.path in paths}


def absent_warning(
    planned: Iterable[Shard], done: Collection[str], absent: Collection[str]
) -> str | None:
    """A warning about planned shards that nobody processes, as their files are gone.

    Args:
        planned: the job's shards, where their files were last seen.
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


def current_paths(
    files: Sequence[InputFile],
    contents: Mapping[str, str],
    before: SeenFiles = _NOTHING_SEEN,
) -> dict[str, str]:
    """The current path of each planned file: its own, or that of a new file with its content.

    Args:
        files: the current input files.
        contents: the content of each planned file, by file id.
        before: what the last run saw. Of several files with one content, each is the one that it
            was then, and those that were there then come before those that were gone.
    """
    where = {file.id: file.path for file in files if file.id in contents}
    unknown: dict[str, dict[str, None]] = {}
    for file in reversed(files):
        if file.id not in contents:
            unknown.setdefault(file.content, {})[file.path] = None
    for planned_file, path in before.moved.items():
        same = unknown.get(contents.get(planned_file, ""), {})
        if planned_file not in where and path in same:
            del same[path]
            where[planned_file] = path
    gone = before.absent | before.superseded
    for planned_file in sorted(contents, key=gone.__contains__):
        same = unknown.get(contents[planned_file], {})
        if planned_file not in where and same:
            where[planned_file], _ = same.popitem()  # the first of the input
    return where
