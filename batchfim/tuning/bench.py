"""A job's own settings, measured a few times on a sample."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from batchfim.config import JobConfig
from batchfim.errors import InputError, JobFailed
from batchfim.storage.inputs import InputSet
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
    with tempfile.TemporaryDirectory(prefix="batchfim-bench-") as folder:
        sample = Path(folder) / "sample.parquet"
        if not write_sample(config.input, inputs, sample_rows, seed, sample):
            raise InputError("the input has no rows to measure with")
        for number in range(repeats):
            trial = run_trial(config, {}, sample, Path(folder) / f"run-{number}", run_job)
            if trial.error:
                raise JobFailed(f"run {number + 1} of {repeats}: {trial.error}")
            tell(trial)
            trials.append(trial)
    return trials
