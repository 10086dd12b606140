"""One run of a claimed job: plan, process pending shards, audit, and write the summary."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc

from batchfim.config import JobConfig
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.driver.signals import StopSignal
from batchfim.driver.state import Watcher
from batchfim.errors import BatchfimError, ConfigError, InputError, JobFailed, StorageError
from batchfim.exits import ExitCode
from batchfim.forecast.comparison import compare_with_actual
from batchfim.forecast.forecast import identity_of
from batchfim.infiller import Infiller
from batchfim.metrics.audit import audit, unfinished
from batchfim.metrics.done import Done
from batchfim.metrics.run_record import End, end_of
from batchfim.metrics.summary import RunClock
from batchfim.planning.plan import (
    absent_files,
    absent_warning,
    contents_of,
    current_paths,
    plan_work,
    rewritten_warning,
    small_files_warning,
)
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet, open_inputs
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from batchfim.storage.run_records import RunLog
from batchfim.versions import versions
from batchfim.workers.capacity import num_gpus
from batchfim.workers.pool import Pool, WorkerSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """How a run ended.

    Attributes:
        summary: content of `_batchfim/summary.json`.
        idle: whether nothing was left to do.
        signal: number of the signal that stopped the run, if one did.
        report: whether `report.html` is due.
    """

    summary: dict[str, Any]
    idle: bool = False
    signal: int | None = None
    report: bool = False

    @property
    def exit_code(self) -> int:
        """The process's exit code: an `ExitCode`, or 128 + `signal`."""
        if self.signal is not None:
            return 128 + self.signal
        if not self.summary["complete"]:
            return ExitCode.UNFINISHED
        return ExitCode.ROWS_FAILED if self.summary["rows"]["failed"] else ExitCode.COMPLETE

    @property
    def end(self) -> End:
        """How the run ended, in words."""
        return end_of(self.summary)


@dataclass(frozen=True)
class Run:
    """One process running a job whose lease it holds."""

    id: str
    config: JobConfig
    infiller: Infiller
    ledger: Ledger
    fingerprint: str
    lease: JobLease
    stop: StopSignal
    log: RunLog
    started_s: float
    regroup_s: float = 0.0

    def plan(self, inputs: InputSet) -> list[Shard]:
        """Update the ledger's plan, and return the pending shards.

        Raises:
            JobFailed: the lease was lost meanwhile.
        """
        schedule, ledger = self.config.schedule, self.ledger
        done = ledger.done_ids()
        partless, unmarked = ledger.half_committed(done)
        done -= partless
        contents, planned_at = ledger.planned_files()
        if warning := rewritten_warning(inputs.files, planned_at):
            _log.warning("%s", warning)
        planned = ledger.plan_but(done, [file.id for file in inputs.files])
        absent = absent_files(inputs.files, contents)
        if warning := absent_warning(planned, done, absent):
            _log.warning("%s", warning)
        if warning := small_files_warning(inputs.files):
            _log.warning("%s", warning)
        work = plan_work(
            inputs.files,
            planned,
            done,
            schedule.shard_rows,
            self.fingerprint,
            num_workers=schedule.workers.max,
            contents=contents,
        )
        self.lease.check()
        if work.pending or work.superseded:
            ledger.reopen()
        # Add to the plan before deleting the results it replaces: a kill in between loses no row.
        ledger.add_to_plan(work.added)
        ledger.set_absent_files(absent)
        ledger.forget(partless)
        ledger.supersede(work.superseded)
        ledger.clean_up(unmarked)
        return work.pending

    def work(self, inputs: InputSet, pending: list[Shard], *, retry: bool = False) -> JobResult:
        """Process shards until all are done or a signal ends the run.

        Args:
            inputs: the input files.
            pending: shards to process.
            retry: the shards are done, and only their failed rows are retried.

        Raises:
            JobFailed, StorageError: the job cannot continue; finished shards stay finished.
        """
        queue = self._queue(pending, retry)
        self.log.work(len(pending))
        clock = None if queue.finished else self._drive(inputs, queue, retry)
        self.lease.check()
        result = self._close(queue, clock)
        self.log.end(result.end, None, _entry_of(self.id, result.summary))
        return result

    def _queue(self, pending: list[Shard], retry: bool) -> ShardQueue:
        schedule = self.config.schedule
        rerun = num_gpus(self.config) >= 1 if schedule.rerun is None else schedule.rerun
        return ShardQueue(
            pending, schedule.task_attempts, schedule.node_losses, rerun=rerun, bisects=not retry
        )

    def _drive(self, inputs: InputSet, queue: ShardQueue, retry: bool) -> RunClock:
        rows = sum(shard.num_rows for shard in queue.shards) * self.config.sampling.n
        if retry:
            worked = self.ledger.done().of([shard.id for shard in queue.shards])
            rows = pc.sum(worked["failed"]).as_py()
        schedule = self.config.schedule
        spec = WorkerSpec(
            self.config,
            inputs.kept,
            self.id,
            self.log.name,
            inputs.language_columns,
            retry,
            model_digest=self.infiller.files.digest(),
            adapter_digests=self.infiller.adapter_digests,
        )
        pool = _open_pool(self.config, spec)
        try:
            with Progress(self.config.metrics, rows) as progress:
                driver = Driver(
                    self.id,
                    pool,
                    queue,
                    self.ledger.replace if retry else self.ledger.commit,
                    self.ledger.split,
                    self.fingerprint,
                    schedule,
                    [progress, *_exporters(self.config, self.id, rows)],
                    stop_grace_s=self._grace_s,
                    may_commit=lambda: not self.lease.lost,
                )
                with self._failure_noted(driver):
                    return driver.run()
        finally:
            pool.close()

    def _grace_s(self) -> float | None:
        """Seconds that leased shards may still take; None while the run continues."""
        schedule = self.config.schedule
        if self.lease.lost:
            return 0.0
        if self.stop.number is not None or schedule.stop_after_s is None:
            return self.stop.grace_s(schedule.grace_s)
        is_late = time.monotonic() - self.started_s >= schedule.stop_after_s
        return schedule.grace_s if is_late else None

    @contextmanager
    def _failure_noted(self, driver: Driver) -> Iterator[None]:
        """If the driver fails, write what it did to the summary all the same."""
        try:
            yield
        except BatchfimError:
            if not self.lease.lost:  # otherwise another run may own the job and its summary
                with suppress(StorageError):  # the first error is the one to report
                    self.ledger.write_summary(self._summary(self.ledger.done(), driver.run_clock()))
            raise

    def _summary(self, done: Done, clock: RunClock | None) -> dict[str, Any]:
        """The summary of a job, marked as not complete and without a forecast."""
        runs = self.ledger.summary().get("runs", [])
        if clock is not None:
            total_s = time.monotonic() - self.started_s
            times = {"total_s": total_s, "regroup_s": self.regroup_s}
            runs = [*runs, clock.model_copy(update=times).summary()]
        return done.totals.summary() | {
            "runs": runs,
            "model": self.infiller.facts,
            "engine": {"backend": self.config.engine.backend},
            "versions": versions(),
            "complete": False,
            "forecast": [],
        }

    def _close(self, queue: ShardQueue, clock: RunClock | None) -> JobResult:
        """Audit the committed shards, write the summary, and return how the run ended."""
        config, ledger = self.config, self.ledger
        ledger.clean_up(())
        done = ledger.done()
        planned = ledger.planned_rows()
        complaints = audit(planned, done.table, ledger.parts(), config.sampling.n)
        not_done = unfinished(planned, done.ids, ledger.absent_files())
        left = not_done.left.num_rows
        complete = queue.finished and not (queue.abandoned or left or complaints)
        summary = self._summary(done, clock) | not_done.summary | {"complete": complete}
        summary["forecast"] = self._forecast(summary)
        self.lease.check()
        ledger.write_summary(summary)
        if complaints:
            found = "; ".join(complaint.text for complaint in complaints[:5])
            raise JobFailed(
                f"{config.output.path}: the audit found inconsistencies: {found}; delete the parts "
                "of these shards and run again to have them rewritten"
            )
        if queue.abandoned:
            cause = next(iter(queue.abandoned.values()))
            raise JobFailed(
                f"{len(queue.abandoned)} shards could be neither processed nor written as failed, "
                f"the first because of: {cause}; run again to retry them; if a file is damaged, "
                "repair it or take it out of the input first"
            )
        if left and queue.finished:
            raise JobFailed(
                f"{config.output.path}: {left} planned shards are not processed yet, and a retry "
                "does not include them; run `batchfim run` with the job's settings"
            )
        report = clock is not None and config.metrics.report and self.stop.number is None
        return JobResult(summary, idle=clock is None, signal=self.stop.number, report=report)

    def _forecast(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        """The job's forecast compared with what it took; empty until the job is complete."""
        forecast = self.ledger.forecast()
        own = identity_of(self.config, self.infiller.files.digest())
        if not summary["complete"] or forecast is None or forecast["identity"] != own:
            return []
        return compare_with_actual(forecast, summary)


@contextmanager
def logged(ledger: Ledger, run_id: str) -> Iterator[RunLog]:
    """Keep a record of a run, even if it fails or is stopped before it processes anything."""
    log = RunLog(ledger.runs, run_id)
    try:
        yield log
    except (BatchfimError, SystemExit) as error:
        cause = str(error) if isinstance(error, BatchfimError) else "stopped before it began"
        with suppress(StorageError):  # the first error is the one to report
            log.end("failed", cause, _entry_of(run_id, ledger.summary()))
        raise


def _entry_of(run_id: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary's entry for a run; empty if there is none."""
    runs = summary.get("runs", [])
    return dict(runs[-1]) if runs and runs[-1].get("run") == run_id else {}


def failed_shards(config: JobConfig, inputs: InputSet, ledger: Ledger) -> list[Shard]:
    """Done shards with failed rows, with the current paths of their files.

    A file is looked for among the inputs, then at its path in an earlier run.

    Those of files that are gone or have changed are left out, with a warning.

    Raises:
        InputError: no other file has failed rows.
    """
    table = ledger.done().table
    failed = set(table.filter(pc.greater(table["failed"], 0))["shard_id"].to_pylist())
    shards = [shard for shard in ledger.plan() if shard.id in failed]
    contents = contents_of(shards)
    where = current_paths(inputs.files, contents)
    paths = {file.path for file in inputs.files}
    for path in sorted({shard.path for shard in shards if shard.file not in where}):
        files = _files_at(config, path)
        paths |= {file.path for file in files}
        where |= current_paths(files, contents)
    found = [replace(shard, path=where[shard.file]) for shard in shards if shard.file in where]
    if left_out := _left_out([shard for shard in shards if shard.file not in where], paths):
        if not found:
            raise InputError(f"{config.output.path}: no failed row can be retried: {left_out}")
        _log.warning("some failed rows are not retried: %s", left_out)
    return found


def _left_out(shards: Sequence[Shard], paths: Collection[str]) -> str:
    """What to do about shards whose files are gone, or are still at their paths but changed."""
    changed = [shard.path for shard in shards if shard.path in paths]
    gone = [shard for shard in shards if shard.path not in paths]
    texts = []
    if gone:
        texts.append(
            f"{len({shard.path for shard in gone})} files are gone, such as {gone[0].path}: "
            f"restore them, or delete the parts with these rows, such as part-{gone[0].id}.parquet "
            "(their other rows are lost, too), and run `batchfim run`"
        )
    if changed:
        texts.append(
            f"{len(set(changed))} files have changed since, such as {changed[0]}: `batchfim run` "
            "processes them again"
        )
    return "; ".join(texts)


def _files_at(config: JobConfig, path: str) -> Sequence[InputFile]:
    """The file at a path of an earlier run's input; empty if it is gone."""
    try:
        return open_inputs(config.input.model_copy(update={"paths": (path,)})).files
    except InputError:
        return ()


def check_pool(config: JobConfig) -> None:
    """Reject local pools in which several workers would each need a GPU.

    Raises:
        ConfigError: the job's pool is such a pool.
    """
    schedule = config.schedule
    if schedule.pool == "local" and schedule.workers.max > 1 and num_gpus(config) >= 1:
        raise ConfigError(
            "schedule.pool local has one GPU for all workers; use schedule.pool ray, which gives "
            "each worker its own, or schedule.workers 1"
        )


def _open_pool(config: JobConfig, spec: WorkerSpec) -> Pool:
    if config.schedule.pool == "local":
        from batchfim.workers.local import LocalPool

        return LocalPool(spec)
    from batchfim.workers.ray_token import keep_ray_private

    keep_ray_private(config.resources)
    from batchfim.workers.ray import RayPool

    return RayPool(spec, num_gpus(config))


def _exporters(config: JobConfig, run: str, planned_rows: int) -> list[Watcher]:
    """Metrics exporters available to the job's pool; a local pool has none."""
    if config.schedule.pool == "local":
        return []
    from batchfim.telemetry.exporting import MetricsExporter

    return [MetricsExporter(config.output.path, run, planned_rows)]
