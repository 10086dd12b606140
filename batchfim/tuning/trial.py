"""One trial: the job on the sample, with some settings changed, in a folder of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batchfim.config import JobConfig
from batchfim.config_file import check_config
from batchfim.driver.signals import exit_signals
from batchfim.errors import Interrupted
from batchfim.running import JobResult
from batchfim.storage.location import Location
from batchfim.storage.stores import extended
from batchfim.tuning.search import Settings

RunJob = Callable[[JobConfig], JobResult]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one run said; rates are over the time from the engine's being up to the last commit.

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
    """The job with these settings.

    Raises:
        ConfigError: an unknown key, or a value it cannot have.
    """
    return check_config(config.model_dump(mode="json"), "batchfim tune", settings)


def trial_config(config: JobConfig, settings: Settings, sample: str, output: str) -> JobConfig:
    """The job with these settings, by one worker, on a sample, to its end."""
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


@contextmanager
def beside(output: str) -> Iterator[str]:
    """A folder for a while, where workers on other machines see it: they see the output, too."""
    url = extended(output, f".trial-{uuid.uuid4().hex[:8]}")
    folder = Location.of(url)
    with exit_signals():  # SIGTERM leaves no sample of somebody's records behind either
        folder.make_folder()
        try:
            yield url
        finally:
            folder.delete_folder()


def run_trial(
    config: JobConfig, settings: Settings, sample: str, output: str, run_job: RunJob
) -> Trial:
    """Run one.

    Raises:
        BatchfimError: the job fails.
        Interrupted: by a signal.
    """
    result = run_job(trial_config(config, settings, sample, output))
    if result.signal is not None:
        raise Interrupted(f"the trial was ended by signal {result.signal}")
    return _told(settings, result.summary)


def _told(settings: Settings, summary: dict[str, Any]) -> Trial:
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
