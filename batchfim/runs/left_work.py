"""What a job has left to do: the current input compared with its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from batchfim.config import Schedule
from batchfim.planning.work import WorkPlan, current_paths, plan_work, seen_files
from batchfim.shards import InputFile, SeenFiles, Shard
from batchfim.storage.ledger import Ledger


@dataclass(frozen=True)
class LeftWork:
    """What is left to do, and what the ledger records.

    Attributes:
        work: shards to add to the plan, pending ones, and done ones to be withdrawn.
        done: ids of done shards, with a marker and a part.
        partless: ids of shards with a marker but no part; they count as not done.
        unmarked: ids of shards with a part but no marker; they count as not done either.
        planned: the planned shards, without the done ones of present files: these are most of a
            large job and need not become objects.
        planned_at: when every planned file was first seen, by file id.
        seen: planned files that moved, changed or are gone.
    """

    work: WorkPlan
    done: set[str]
    partless: set[str]
    unmarked: set[str]
    planned: Sequence[Shard]
    planned_at: Mapping[str, datetime]
    seen: SeenFiles


def left_work(
    schedule: Schedule, files: Sequence[InputFile], ledger: Ledger, fingerprint: str
) -> LeftWork:
    """Compare the input's files with a job's ledger; writes nothing."""
    marked = ledger.done_ids()
    partless, unmarked = ledger.half_committed(marked)
    done = marked - partless
    contents, planned_at = ledger.planned_files()
    before = ledger.seen.read()
    where = current_paths(files, contents, before)
    planned = ledger.planned_without(done, where)
    seen = seen_files(files, planned, contents, where, before)
    work = plan_work(
        files,
        planned,
        done,
        schedule.shard_rows,
        fingerprint,
        num_workers=schedule.workers.max,
        where=where,
        superseded=seen.superseded,
    )
    return LeftWork(work, done, partless, unmarked, planned, planned_at, seen)
