"""Benchmark a job's own settings with a few runs on a sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from batchfim.config import JobConfig
from batchfim.storage.inputs import InputSet
from batchfim.storage.location import Location
from batchfim.storage.stores import extended
from batchfim.tuning.trial import RunJob, Trial, run_trial, sampled


def bench(
    config: JobConfig,
    inputs: InputSet,
    *,
    sample_rows: int,
    seed: int,
    repeats: int,
    keep_as: str | None,
    run_job: RunJob,
    tell: Callable[[Trial], None],
) -> list[Trial]:
    """Run the job on a sample `repeats` times, with an engine start each time.

    Raises:
        InputError: there are no records.
        BatchfimError: a run failed.
        Interrupted: a signal ended it.
    """
    trials = []
    with sampled(config, inputs, sample_rows, seed) as (folder, sample):
        for number in range(repeats):
            output = extended(folder, f"/run-{number}")
            trials.append(run_trial(config, {}, sample, output, run_job))
            tell(trials[-1])
            if keep_as is not None:
                _keep(trials, Location.of(extended(config.output.path, ".bench")), keep_as)
    return trials


def _keep(trials: Sequence[Trial], folder: Location, name: str) -> None:
    """Store the trials so far as JSON lines, as a benchmark's log goes away with its cluster."""
    lines = [json.dumps(asdict(trial)) for trial in trials]
    folder.make_folder()
    (folder / f"{name}.jsonl").write("".join(f"{line}\n" for line in lines).encode())
