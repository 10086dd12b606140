"""One run of a claimed job: plan, process pending shards, audit, and write the summary."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.errors import (
    BatchfimError,
    JobFailed,
    StorageError,
)
from batchfim.metrics.audit import audit, unfinished
from batchfim.metrics.comparison import compare_with_actual
from batchfim.metrics.done import Done
from batchfim.metrics.summary import RunEntry
from batchfim.models.infiller import Infiller
from batchfim.planning.work import absent_warning, rewritten_warning, small_files_warning
from batchfim.runs.claiming import forecast_identity
from batchfim.runs.left_work import left_work
from batchfim.runs.pools import exporters, open_pool
from batchfim.runs.result import JobResult
from batchfim.shards import Shard
from batchfim.signals import StopSignal
from batchfim.storage.inputs import InputSet
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from batchfim.storage.run_records import RunLog
from batchfim.versions import versions
from batchfim.workers.pool import WorkerSpec

_log = logging.getLogger(__name__)


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
        ledger, files = self.ledger, inputs.files
        left = left_work(self.config.schedule, files, ledger, self.fingerprint)
        for warning in (
            rewritten_warning(files, left.planned_at),
            absent_warning(left.planned, left.done, left.seen.absent),
            small_files_warning(files),
        ):
            if warning is not None:
                _log.warning("%s", warning)
        self.lease.check()
        if left.work.pending or left.work.superseded:
            ledger.reopen()
        # First: if this run is killed, what it saw in new places may have moved on by the next run.
        ledger.seen.write(left.seen)
        # Add to the plan before deleting the results it replaces: a kill in between loses no row.
        ledger.add_to_plan(left.work.added)
        ledger.forget(left.partless)
        ledger.supersede(left.work.superseded)
        ledger.clean_up(left.unmarked)
        return left.work.pending

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
        entry = None if queue.finished else self._drive(inputs, queue, retry)
        self.lease.check()
        result = self._close(queue, entry)
        self.log.end(result.end, None, _entry_of(self.id, result.summary))
        return result

    def _queue(self, pending: list[Shard], retry: bool) -> ShardQueue:
        schedule = self.config.schedule
        rerun = num_gpus(self.config) >= 1 if schedule.rerun is None else schedule.rerun
        return ShardQueue(
            pending, schedule.task_attempts, schedule.node_losses, rerun=rerun, bisects=not retry
        )

    def _drive(self, inputs: InputSet, queue: ShardQueue, retry: bool) -> RunEntry:
        rows = sum(shard.num_rows for shard in queue.shards) * self.config.sampling.n
        if retry:
            worked = self.ledger.done().of([shard.id for shard in queue.shards])
            rows = pc.sum(worked["failed"]).as_py()
        spec = WorkerSpec(
            self.config,
            kept=inputs.kept,
            run=self.id,
            run_record=self.log.name,
            language_columns=inputs.language_columns,
            retry=retry,
            model_digest=self.infiller.files.digest(),
            adapter_digests=self.infiller.adapter_digests,
        )
        pool = open_pool(self.config, spec)
        try:
            with Progress(self.config.metrics, rows) as progress:
                driver = Driver(
                    run_id=self.id,
                    pool=pool,
                    queue=queue,
                    commit=self.ledger.replace if retry else self.ledger.commit,
                    split=self.ledger.split,
                    fingerprint=self.fingerprint,
                    schedule=self.config.schedule,
                    watchers=[progress, *exporters(self.config, self.id, rows)],
                    stop_grace_s=self._grace_s,
                    may_commit=lambda: not self.lease.lost,
                    samples=self.config.sampling.n,
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
                    self.ledger.write_summary(self._summary(self.ledger.done(), driver.run_entry()))
            raise

    def _summary(self, done: Done, entry: RunEntry | None) -> dict[str, Any]:
        """The summary of a job, marked as not complete and without a forecast."""
        runs = self.ledger.summary().get("runs", [])
        if entry is not None:
            total_s = time.monotonic() - self.started_s
            times = {"total_s": total_s, "regroup_s": self.regroup_s}
            runs = [*runs, entry.model_copy(update=times).summary()]
        return done.totals.summary() | {
            "runs": runs,
            "model": self.infiller.facts,
            "engine": {"backend": self.config.engine.backend},
            "versions": versions(),
            "complete": False,
            "forecast": [],
        }

    def _close(self, queue: ShardQueue, entry: RunEntry | None) -> JobResult:
        """Audit the committed shards, write the summary, and return how the run ended."""
        config, ledger = self.config, self.ledger
        ledger.clean_up(())
        done = ledger.done()
        planned = ledger.planned_rows()
        complaints = audit(planned, done.table, ledger.parts(), config.sampling.n)
        not_done = unfinished(planned, done.ids, ledger.seen.read())
        left = not_done.left.num_rows
        complete = queue.finished and not (queue.abandoned or left or complaints)
        summary = self._summary(done, entry) | not_done.summary | {"complete": complete}
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
        report = entry is not None and config.metrics.report and self.stop.number is None
        return JobResult(summary, idle=entry is None, signal=self.stop.number, report=report)

    def _forecast(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        """The job's forecast compared with what it took; empty until the job is complete."""
        forecast = self.ledger.forecast()
        own = forecast_identity(self.config, self.infiller.files.digest())
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
