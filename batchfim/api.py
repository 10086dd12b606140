"""The Python API, called by the command line, the job scripts and notebooks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from batchfim.accounts.results import open_results as open_results
from batchfim.accounts.status import job_status as job_status
from batchfim.accounts.verify import verify_job as verify_job
from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.config.absolute_paths import absolute
from batchfim.config.files import as_config, check_config, without_hidden
from batchfim.engines.build import resolve_job
from batchfim.errors import ConfigError, JobFailed
from batchfim.forecast.left import what_is_left
from batchfim.forecast.making import calibrate, make_forecast
from batchfim.forecast.speed import speed_of
from batchfim.models.showing import show_prompt as show_prompt
from batchfim.models.showing import show_row as show_row
from batchfim.quality.evaluation import evaluate_job as evaluate_job
from batchfim.report.compare import compare_jobs as compare_jobs
from batchfim.report.in_subprocess import report_in_subprocess
from batchfim.runs.opening import opened
from batchfim.runs.result import JobResult as JobResult
from batchfim.runs.retrying import failed_shards
from batchfim.runs.run import Run
from batchfim.storage.inputs import check_apart, open_inputs
from batchfim.storage.ledger import Ledger
from batchfim.tuning.bench import bench
from batchfim.tuning.knobs import default_knobs, parse_knob
from batchfim.tuning.trial import Trial, enough_rows
from batchfim.tuning.tune import Tuning, tune

Config = JobConfig | Mapping[str, Any]
_log = logging.getLogger(__name__)


def run_job(config: Config) -> JobResult:
    """Run a job or resume it; finished shards are neither read nor processed again.

    Args:
        config: the job's, as `load_config` gives it, or its sections as nested mappings.

    Returns:
        The summary (as in `_batchfim/summary.json`) and how the run ended.

    Raises:
        UserError: the config, input, model or output is wrong; nothing was written.
        JobHeld: another run holds the job's lease.
        JobFailed: the job cannot be completed; finished shards stay finished.
    """
    with opened(as_config(config)) as (run, inputs):
        run.ledger.note_config(run.config.public_dump())
        result = run.work(inputs, run.plan(inputs))
    return _reported(run, result)


def retry_job(
    output: str, flags: Mapping[str, Any] | None = None, sets: Iterable[str] = ()
) -> JobResult:
    """Retry the failed rows of a job and replace them in place.

    All other rows stay as they are, whatever their status; `rejected` rows can never work.

    Args:
        output: path or URL of the job, whose settings are used.
        flags: values by dotted key that override those settings; None values are skipped.
        sets: `section.key=value` strings that override them, too.

    Raises:
        OutputError: there is no job at `output`, or an override changes its fingerprint.
        InputError: all files with failed rows are gone or have changed.
        others: as `run_job`.
    """
    stored = Ledger.at(output).job()["config"]
    place = {"output.path": output, **(flags or {})}
    config = check_config(without_hidden(stored), f"the job in {output}", place, sets)
    with opened(config) as (run, inputs):
        if not run.ledger.planned_rows().num_rows and not run.ledger.summary().get("complete"):
            raise JobFailed(
                f"{output}: no shards are planned yet; run `batchfim run` with the job's settings"
            )
        result = run.work(inputs, failed_shards(run.config, inputs, run.ledger), retry=True)
    return _reported(run, result)


def plan_job(
    config: Config,
    *,
    sample_rows: int = 4096,
    seed: int = 0,
    price: float | None = None,
    speed_from: str | None = None,
    calibration_rows: int | None = 0,
) -> dict[str, Any]:
    """Estimate what a job will take, and store the forecast for the summary to compare with.

    If the output holds finished work of the job, the forecast is of what is left.

    Args:
        config: as for `run_job`; none of its shards is processed.
        sample_rows: rows to read and encode.
        seed: random seed of the sample.
        price: price of a GPU-hour.
        speed_from: output of an earlier run on the same model and device.
        calibration_rows: rows of a short job that measures the speed, if `speed_from` is not
            given; 0: none; None: a quarter of what `tune_job` takes.

    Returns:
        The forecast, as described in `forecast.forecast`.

    Raises:
        UserError: as `run_job`, or the run at `speed_from` gives no speed.
        JobFailed: the calibration failed.
    """
    if speed_from is not None and calibration_rows != 0:
        raise ConfigError(
            "the speed comes either from an earlier run or from a calibration; choose one"
        )
    config = absolute(as_config(config))
    check_apart(config.input, config.output.path)
    inputs = open_inputs(config.input)
    config, infiller = resolve_job(config)
    left = what_is_left(config, inputs, infiller)
    digest, speed = infiller.files.digest(), None
    if speed_from is not None:
        speed = speed_of(speed_from, digest, config.engine.backend)
    elif calibration_rows != 0 and left.shards:
        speed = calibrate(config, inputs, digest, rows=calibration_rows, seed=seed, run_job=run_job)
    forecast = make_forecast(
        config, left, infiller, sample_rows=sample_rows, seed=seed, price=price, speed=speed
    )
    if left.shards and not left.refusals:  # otherwise keep the one of the work that was done
        Ledger.at(config.output.path).write_forecast(forecast)
    return forecast


def report_job(output: str) -> str:
    """Write the report of the job at a path or URL, and return the report's path.

    Raises:
        others: as `report.report`.
    """
    from batchfim.report.report import report_job  # Bokeh takes a second to import

    return report_job(output)


def _reported(run: Run, result: JobResult) -> JobResult:
    """Write the report once the lease is released; with many shards it takes minutes."""
    if result.report:
        report_in_subprocess(run.config.output.path)
    return result


def tune_job(
    config: Config,
    knobs: Sequence[str] = (),
    *,
    sample_rows: int | None = None,
    seed: int = 0,
    repeats: int = 2,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> Tuning:
    """Find settings that finish a job's records sooner; its output is not touched.

    Args:
        config: as for `run_job`.
        knobs: `section.key=value,value` strings; empty: the settings that matter for its engine.
        sample_rows: rows of the sample that each trial processes; None: 2,048, on GPUs 16,384,
            enough to keep an engine full most of the time.
        seed: random seed of the sample.
        repeats: how often the winner and the job's own settings run again, in turns.
        tell: called with each trial when it ends.

    Raises:
        UserError: as `run_job`, or a knob is not a setting.
        Interrupted: a signal ended the search.
    """
    config = absolute(as_config(config))
    inputs = open_inputs(config.input)
    config, _ = resolve_job(config)
    chosen = [parse_knob(text) for text in knobs] or default_knobs(
        config, on_gpu=num_gpus(config) > 0
    )
    return tune(
        config,
        inputs,
        chosen,
        sample_rows=sample_rows or enough_rows(config),
        seed=seed,
        repeats=repeats,
        run_job=run_job,
        tell=tell,
    )


def bench_job(
    config: Config,
    *,
    sample_rows: int | None = None,
    seed: int = 0,
    repeats: int = 3,
    keep_as: str | None = None,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Measure a job's own settings on a sample with one engine; its output is not touched.

    The sample is kept in a folder beside the output during the measurement; with `keep_as`, the
    results stay in `<output>.bench/<keep_as>.jsonl`.

    Raises:
        others: as `run_job`.
        Interrupted: a signal ended the measurement.
    """
    config = absolute(as_config(config))
    return bench(
        config,
        open_inputs(config.input),
        sample_rows=sample_rows or enough_rows(config),
        seed=seed,
        repeats=repeats,
        keep_as=keep_as,
        run_job=run_job,
        tell=tell,
    )
