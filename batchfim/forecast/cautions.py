"""Warnings about a job before it starts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from batchfim.config import JobConfig
from batchfim.forecast.sample import Sample
from batchfim.planning.work import small_files_warning
from batchfim.shards import InputFile, Shard

_MUCH_TRUNCATED = 0.05  # of the prompts
_GIANT_BYTES = 1 << 28
_GIANT_SHARDS = 8


def cautions(
    config: JobConfig,
    sample: Sample,
    files: Sequence[InputFile],
    shards: Sequence[Shard],
    context: int | None,
) -> list[str]:
    """Warnings about a job, one line each.

    Args:
        config: the job.
        sample: the encoded sample.
        files: the input files.
        shards: the shards as they would be cut.
        context: the model's context, in tokens.
    """
    return [
        *_of_sample(config, sample, context),
        *_giant_groups(config, files, shards),
        *_of_workers(config, shards),
        *_small_files(config, files),
    ]


def _of_sample(config: JobConfig, sample: Sample, context: int | None) -> Iterator[str]:
    rows = max(sample.rows, 1)
    truncated = sum(block.truncated for block in sample.blocks) / rows
    if truncated > _MUCH_TRUNCATED:
        yield (
            f"short context: {truncated:.0%} of the prompts are cut to fit {context} tokens, of "
            f"which sampling.max_tokens reserves {config.sampling.max_tokens} for the middle"
        )
    for reason, count in sample.refused.most_common():
        yield f"refused rows: {count / rows:.1%} will be rejected ({reason})"
    if config.planning.regroups:
        yield (
            "planning.regroup sorts the input first, so its records will share more than the sample"
        )


def _giant_groups(
    config: JobConfig, files: Sequence[InputFile], shards: Sequence[Shard]
) -> Iterator[str]:
    """Warn of large row groups that several workers would each decode from the start."""
    if config.schedule.workers.max < 2 or not shards:
        return
    rows_in_shard = sum(shard.num_rows for shard in shards) / len(shards)
    for file in files:
        borders = [*file.group_starts, file.num_rows]
        largest = max((end - start for start, end in pairwise(borders)), default=0)
        if largest * file.row_bytes > _GIANT_BYTES and largest > _GIANT_SHARDS * rows_in_shard:
            yield (
                f"giant row group: {file.path} has one of {largest:,} rows, "
                f"{largest * file.row_bytes / (1 << 20):,.0f} MiB, which each worker decodes from "
                "its start up to its own shards; rewrite the file with smaller row groups"
            )


def _of_workers(config: JobConfig, shards: Sequence[Shard]) -> Iterator[str]:
    workers = config.schedule.workers.max
    if len(shards) < workers:
        yield (
            f"idle workers: there are {len(shards)} shards for {workers} workers; "
            "set schedule.shard_rows, or use fewer workers"
        )


def _small_files(config: JobConfig, files: Sequence[InputFile]) -> Iterator[str]:
    """Files that are too small, unless they are about to be sorted into larger ones."""
    if not config.planning.regroups and (warning := small_files_warning(files)):
        yield f"small files: {warning}"
