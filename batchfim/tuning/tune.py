"""Tune a job by trials on a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from batchfim.config import JobConfig
from batchfim.errors import BatchfimError, ConfigError, Interrupted
from batchfim.storage.inputs import InputSet
from batchfim.storage.stores import extended
from batchfim.tuning.search import Knob, Settings, search
from batchfim.tuning.trial import RunJob, Trial, run_trial, sampled, with_settings


@dataclass(frozen=True, slots=True)
class Tuning:
    """All trials in the order in which they ran, and the best settings, empty for the job's own."""

    trials: tuple[Trial, ...]
    best: Settings
    sample_rows: int


def tune(
    config: JobConfig,
    inputs: InputSet,
    knobs: Sequence[Knob],
    *,
    sample_rows: int,
    seed: int,
    repeats: int,
    run_job: RunJob,
    tell: Callable[[Trial], None],
) -> Tuning:
    """Try the knobs on a sample; each trial starts one engine.

    Args:
        config: the job; its output is not touched.
        inputs: its files.
        knobs: what to try.
        sample_rows: rows of the sample.
        seed: random seed of the sample.
        repeats: how often the winner and the job's own settings run again.
        run_job: runs a job.
        tell: called with each trial when it ends.

    Raises:
        ConfigError: a knob is not a setting, or the job does not run with its own settings.
        InputError: there are no records.
        Interrupted: a signal ended it.
    """
    for knob in knobs:
        for value in knob.values:
            with_settings(config, {knob.key: value})
    trials: list[Trial] = []
    with sampled(config, inputs, sample_rows, seed) as (folder, sample):

        def measure(settings: Settings) -> float | None:
            output = extended(folder, f"/trial-{len(trials)}")
            try:
                trial = run_trial(config, settings, sample, output, run_job)
            except Interrupted:
                raise
            except BatchfimError as error:
                if not trials:
                    raise ConfigError(
                        f"the job does not run with its own settings: {error}"
                    ) from None
                trial = Trial(settings, error=str(error))
            trials.append(_judged(trial, trials))
            tell(trials[-1])
            return trials[-1].records_per_s

        best = search(knobs, measure, repeats)
    return Tuning(tuple(trials), best.settings, min(sample_rows, inputs.num_rows))


def _judged(trial: Trial, earlier: Sequence[Trial]) -> Trial:
    """The trial, marked as failed if more rows failed than in the first, as failing is fast."""
    if not earlier or trial.unfilled <= earlier[0].unfilled:
        return trial
    error = f"{trial.unfilled} rows failed or were rejected"
    return replace(trial, records_per_s=None, error=error)
