"""A job's own settings, measured a few times on a sample."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchfim.config import JobConfig
from batchfim.errors import InputError, JobFailed
from batchfim.storage.inputs import InputSet
from batchfim.storage.location import Location
from batchfim.tuning.sample import write_sample
from batchfim.tuning.trial import RunJob, Trial, run_trial


def bench(
    config: JobConfig,
    inputs: InputSet,
    *,
    sample_rows: int,
    seed: int,
    repeats: int,
    run_job: RunJob,
    tell: Callable[[Trial], None],
) -> list[Trial]:
    """Run the job on a sample, one engine start each time.

    Raises:
        InputError: there are no records.
        JobFailed: a run failed.
        Interrupted: by a signal.
    """
    trials = []
    with _beside(config.output.path) as folder:
        sample = folder / "sample.parquet"
        if not write_sample(config.input, inputs, sample_rows, seed, sample):
            raise InputError("the input has no rows to measure with")
        for number in range(repeats):
            output = (folder / f"run-{number}").url
            trial = run_trial(config, {}, sample.url, output, run_job)
            if trial.error:
                raise JobFailed(f"run {number + 1} of {repeats}: {trial.error}")
            tell(trial)
            trials.append(trial)
    return trials


@contextmanager
def _beside(output: str) -> Iterator[Location]:
    """A folder for a while, where workers on other machines see it: they see the output, too."""
    folder = Location.of(f"{output.rstrip('/')}.bench-{uuid.uuid4().hex[:8]}")
    folder.make_folder()
    try:
        yield folder
    finally:
        folder.delete_folder()
