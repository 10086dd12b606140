"""What a job still has to do, given what its output already holds. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.config import JobConfig
from batchfim.errors import InputError
from batchfim.metrics.comparison import NOTHING_DONE
from batchfim.models.infiller import Infiller
from batchfim.planning.work import plan_work
from batchfim.regroup.regroup import regrouped_so_far
from batchfim.runs.claiming import job_settings, with_columns_of
from batchfim.runs.left_work import left_work
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet
from batchfim.storage.ledger import Ledger
from batchfim.tuning.sample import Span

_NEW = "plan"  # stands for the fingerprint of a job that does not exist yet


@dataclass(frozen=True)
class Left:
    """The work of the next run.

    Attributes:
        inputs: the files that it reads.
        shards: those that it processes.
        spans: the rows of these shards; neighboring shards are one span.
        done: finished `rows`, those of them that `failed`, `shards` and `tokens`, and the number of
            `runs` that ended.
        refusals: why a run would be refused; empty if it would not.
    """

    inputs: InputSet
    shards: Sequence[Shard]
    spans: Sequence[Span]
    done: Mapping[str, Any]
    refusals: Sequence[str] = ()

    @property
    def num_rows(self) -> int:
        return sum(shard.num_rows for shard in self.shards)


def what_is_left(config: JobConfig, inputs: InputSet, infiller: Infiller) -> Left:
    """Compare the input with what the job's output holds.

    Raises:
        InputError: there are no rows, or a file has changed since it was regrouped.
        OutputError: the output is of another version of batchfim.
        StorageError: a file of the ledger is damaged.
    """
    if not inputs.num_rows:
        raise InputError("the input has no rows to plan for")
    ledger = Ledger.at(config.output.path)
    if not ledger.has_job():
        return _all_of(config, inputs)
    inputs = with_columns_of(ledger, inputs)
    changed = ledger.changed_settings(*job_settings(config, inputs, infiller))
    if not changed:
        return _rest_of(config, regrouped_so_far(config, inputs, ledger), ledger)
    if not ledger.done_ids():
        return _all_of(config, inputs)
    refusal = (
        f"a run will be refused: {config.output.path} holds finished work of another job "
        f"({'; '.join(changed)})"
    )
    return _all_of(config, inputs, refusal)


def _all_of(config: JobConfig, inputs: InputSet, *refusals: str) -> Left:
    work = plan_work(
        inputs.files,
        (),
        (),
        config.schedule.shard_rows,
        _NEW,
        num_workers=config.schedule.workers.max,
    )
    return Left(inputs, work.added, _spans(inputs.files, work.added), NOTHING_DONE, refusals)


def _rest_of(config: JobConfig, inputs: InputSet, ledger: Ledger) -> Left:
    left = left_work(config.schedule, inputs.files, ledger, ledger.job()["fingerprint"])
    pending = left.work.pending
    kept = left.done - {shard.id for shard in left.work.superseded}
    return Left(inputs, pending, _spans(inputs.files, pending), _done(ledger, kept))


def _done(ledger: Ledger, shard_ids: set[str]) -> dict[str, Any]:
    parts = ledger.shard_parts()
    parts = parts.filter(pc.is_in(parts["shard_id"], pa.array(shard_ids, pa.string())))
    sums = {
        name: pc.sum(parts[name]).as_py() or 0
        for name in ("rows", "failed", "prompt_tokens", "cached_tokens", "completion_tokens")
    }
    return {
        "rows": sums["rows"],
        "failed": sums["failed"],
        "shards": parts.num_rows,
        "tokens": {
            "prompt": sums["prompt_tokens"],
            "computed": sums["prompt_tokens"] - sums["cached_tokens"],
            "completion": sums["completion_tokens"],
        },
        "runs": len(ledger.summary().get("runs", [])),
    }


def _spans(files: Sequence[InputFile], shards: Iterable[Shard]) -> list[Span]:
    by_path = {file.path: file for file in files}
    spans: list[Span] = []
    for shard in shards:
        file, start = by_path[shard.path], shard.start
        if spans and spans[-1][0] is file and sum(spans[-1][1:]) == start:
            start = spans.pop()[1]
        spans.append((file, start, shard.start + shard.num_rows - start))
    return spans
