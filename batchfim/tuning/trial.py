"""One trial: the job on a sample, with some settings changed, in its own folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.config.files import check_config
from batchfim.errors import InputError, Interrupted
from batchfim.runs.result import JobResult
from batchfim.signals import exit_signals
from batchfim.storage.inputs import InputSet
from batchfim.storage.location import Location
from batchfim.storage.stores import extended
from batchfim.tuning.sample import BLOCK_ROWS, write_sample
from batchfim.tuning.search import Settings

RunJob = Callable[[JobConfig], JobResult]


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures of one run, with rates from the engine's start to the last commit.

    `unfilled` rows failed or were rejected.
    """

    settings: Settings
    records_per_s: float | None = None
    computed_per_s: float | None = None
    completion_per_s: float | None = None
    cached_share: float | None = None
    start_s: float | None = None
    unfilled: int = 0
    error: str | None = None


def with_settings(config: JobConfig, settings: Settings) -> JobConfig:
    """The job with these settings applied.

    Raises:
        ConfigError: a key is unknown or a value is invalid.
    """
    return check_config(config.model_dump(mode="json"), "batchfim tune", settings)


def trial_config(config: JobConfig, settings: Settings, sample: str, output: str) -> JobConfig:
    """The job with these settings on a sample, with one worker and no time limit."""
    own = {
        "input.paths": [sample],
        "output.path": output,
        "planning.regroup": "none",
        "schedule.workers": 1,
        "metrics.progress": "none",
        "metrics.report": False,
    }
    trial = with_settings(config, {**settings, **own})
    schedule = trial.schedule.model_copy(update={"stop_after_s": None})
    return trial.model_copy(update={"schedule": schedule})


def enough_rows(config: JobConfig) -> int:
    """Rows that keep an engine full most of the time; on an H100 it gets 2,048 at once."""
    return 16_384 if num_gpus(config) else 2048


@contextmanager
def sampled(
    config: JobConfig, inputs: InputSet, rows: int, seed: int, block_rows: int = BLOCK_ROWS
) -> Iterator[tuple[str, str]]:
    """A temporary folder beside the output, and a sample of the input in it.

    The folder is there because workers on other machines can see the output's storage.

    Raises:
        InputError: there are no rows.
    """
    folder = extended(config.output.path, f".trial-{uuid.uuid4().hex[:8]}")
    sample, place = extended(folder, "/sample.parquet"), Location.of(folder)
    with exit_signals():  # so that SIGTERM leaves no sample of a user's records behind either
        place.make_folder()
        try:
            if not write_sample(config.input, inputs, rows, seed, Location.of(sample), block_rows):
                raise InputError("the input has no rows")
            yield folder, sample
        finally:
            place.delete_folder()


def run_trial(
    config: JobConfig, settings: Settings, sample: str, output: str, run_job: RunJob
) -> Trial:
    """Run one trial.

    Raises:
        BatchfimError: the job failed.
        Interrupted: a signal ended it.
    """
    result = run_job(trial_config(config, settings, sample, output))
    if result.signal is not None:
        raise Interrupted(f"the trial was ended by signal {result.signal}")
    return _trial_of(settings, result.summary)


def _trial_of(settings: Settings, summary: dict[str, Any]) -> Trial:
    run, tokens = summary["runs"][-1], summary["tokens"]
    return Trial(
        settings,
        records_per_s=run["records_per_s"],
        computed_per_s=run["tokens_per_s"]["computed"],
        completion_per_s=run["tokens_per_s"]["completion"],
        cached_share=tokens["cached"] / tokens["prompt"] if tokens["prompt"] else None,
        start_s=run["engine_start_s"],
        unfilled=summary["rows"]["failed"] + summary["rows"]["rejected"],
    )
