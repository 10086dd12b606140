"""The result of tuning, as text and as a job file."""

from __future__ import annotations

from typing import Any

import yaml

from batchfim.config.files import nested
from batchfim.terminal import plain_table, printable, table_text
from batchfim.tuning.search import Settings
from batchfim.tuning.trial import Trial
from batchfim.tuning.tune import Tuning

_COLUMNS = ("records/s", "computed/s", "output/s", "cached", "start s")
_WIDTH = 110


def trial_text(trial: Trial) -> str:
    """One line about a trial, printed while the trials run."""
    rate = trial.error or f"{trial.records_per_s or 0:,.1f} records/s"
    return printable(f"{settings_text(trial.settings)}: {rate}")


def tuning_text(tuning: Tuning) -> str:
    """The table of all trials and the verdict."""
    table = plain_table("settings", *_COLUMNS)
    for trial in tuning.trials:
        mark = "* " if trial.settings == tuning.best else "  "
        table.add_row(mark + settings_text(trial.settings), *_cells(trial))
    return f"{table_text(table, _WIDTH)}\n\n{_verdict(tuning)}"


def job_file(settings: Settings) -> str:
    """The settings as sections of a job file."""
    tree: dict[str, Any] = nested(settings)
    return yaml.safe_dump(tree, sort_keys=False) if tree else ""


def settings_text(settings: Settings) -> str:
    """The settings on one line, each under the last part of its key."""
    short = (f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())
    return " ".join(short) or "the job's own"


def _cells(trial: Trial) -> list[str]:
    if trial.error:
        return [printable(trial.error)]
    share = "-" if trial.cached_share is None else f"{trial.cached_share:.0%}"
    rates = (trial.records_per_s, trial.computed_per_s, trial.completion_per_s)
    return [*(f"{rate or 0:,.1f}" for rate in rates), share, f"{trial.start_s or 0:.1f}"]


def _verdict(tuning: Tuning) -> str:
    rows = f"{tuning.sample_rows:,} records per trial"
    if not tuning.best:
        return f"nothing was faster than the job's own settings beyond noise ({rows})"
    return f"* faster than the job's own settings in every run ({rows}):\n{job_file(tuning.best)}"
