"""One run of a job that is claimed: plan, work what is pending, close the accounts."""

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
from batchfim.forecast.against import against
from batchfim.forecast.forecast import identity_of
from batchfim.infiller import Infiller
from batchfim.metrics.audit import audit, unfinished
from batchfim.metrics.done import Done
from batchfim.metrics.run_record import End, end_of
from batchfim.metrics.summary import RunClock
from batchfim.planning.plan import (
    absent_files,
    contents_of,
    current_paths,
    plan_work,
    rewritten,
)
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet, open_inputs
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from batchfim.storage.run_records import RunLog
from batchfim.versions import versions
from batchfim.workers.pool import Pool, WorkerSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """How a run ended.

    `summary` is what `_batchfim/summary.json` holds, `idle` tells that nothing was left to do,
    `signal` is the number of the signal that stopped it, `report` tells that `report.html` was due.
    """

    summary: dict[str, Any]
    idle: bool = False
    signal: int | None = None
    report: bool = False

    @property
    def exit_code(self) -> int:
        """Of the process: an `ExitCode`, or 128 + `signal`."""
        if self.signal is not None:
            return 128 + self.signal
        if not self.summary["complete"]:
            return ExitCode.UNFINISHED
        return ExitCode.ROWS_FAILED if self.summary["rows"]["failed"] else ExitCode.COMPLETE

    @property
    def end(self) -> End:
        """The same in words."""
        return end_of(self.summary)


@dataclass(frozen=True)
class Run:
    """One process working on a job that it has claimed and holds the lease of."""

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
        """The shards to be worked, with the ledger brought up to date.

        Raises:
            JobFailed: the lease was lost meanwhile.
        """
        schedule, ledger = self.config.schedule, self.ledger
        done = ledger.done_ids()
        partless, unmarked = ledger.half_committed(done)
        done -= partless
        contents, planned_at = ledger.planned_files()
        if warning := rewritten(inputs.files, planned_at):
            _log.warning("%s", warning)
        work = plan_work(
            inputs.files,
            ledger.plan_but(done, [file.id for file in inputs.files]),
            done,
            schedule.shard_rows,
            self.fingerprint,
            num_workers=schedule.workers.max,
            contents=contents,
        )
        self.lease.check()
        if work.pending or work.superseded:
            ledger.reopen()
        # Before the results they replace are deleted: a kill in between loses no row.
        ledger.add_to_plan(work.added)
        ledger.set_absent_files(absent_files(inputs.files, contents))
        ledger.forget(partless)
        ledger.supersede(work.superseded)
        ledger.clean_up(unmarked)
        return work.pending

    def work(self, inputs: InputSet, pending: list[Shard], *, retry: bool = False) -> JobResult:
        """Work shards to their end, or to where a signal ends it.

        Args:
            inputs: the files the shards are of.
            pending: shards to be worked.
            retry: they are done, and only their failed rows are to be worked again.

        Raises:
            JobFailed, StorageError: the job cannot go on; what is finished stays finished.
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
        kept = tuple(inputs.kept.names)
        spec = WorkerSpec(
            self.config,
            kept,
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
        """How long shards in hand may still take; None while the run goes on."""
        schedule = self.config.schedule
        if self.lease.lost:
            return 0.0
        if self.stop.number is not None or schedule.stop_after_s is None:
            return self.stop.grace_s(schedule.grace_s)
        is_late = time.monotonic() - self.started_s >= schedule.stop_after_s
        return schedule.grace_s if is_late else None

    @contextmanager
    def _failure_noted(self, driver: Driver) -> Iterator[None]:
        """If it fails, the summary has what it did all the same."""
        try:
            yield
        except BatchfimError:
            if not self.lease.lost:  # another run may have the job, and its summary
                with suppress(StorageError):  # what went wrong first is what is to be told
                    self.ledger.write_summary(self._summary(self.ledger.done(), driver.run_clock()))
            raise

    def _summary(self, done: Done, clock: RunClock | None) -> dict[str, Any]:
        """Of a job that is not complete, as far as is known here."""
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
        """Audit what is committed, write the summary, and say how the run ended."""
        config, ledger = self.config, self.ledger
        ledger.clean_up(())
        done = ledger.done()
        planned = ledger.planned_rows()
        complaints = audit(planned, done.table, ledger.parts(), config.sampling.n)
        left = unfinished(planned, done.ids, ledger.absent_files()).num_rows
        complete = queue.finished and not (queue.abandoned or left or complaints)
        summary = self._summary(done, clock) | {"complete": complete}
        summary["forecast"] = self._forecast(summary)
        self.lease.check()
        ledger.write_summary(summary)
        if complaints:
            found = "; ".join(complaint.text for complaint in complaints[:5])
            raise JobFailed(
                f"{config.output.path}: the audit does not close: {found}; "
                "delete the parts of these shards to have them worked again"
            )
        if queue.abandoned:
            cause = next(iter(queue.abandoned.values()))
            raise JobFailed(
                f"{len(queue.abandoned)} shards could be neither worked nor written as failed, the "
                f"first because of: {cause}; run again to work these, or, where a file is damaged, "
                "repair it or take it out of the input first"
            )
        if left and queue.finished:
            raise JobFailed(
                f"{config.output.path}: {left} planned shards are not worked yet, and no "
                "retry works them; run `batchfim run` with the job's settings"
            )
        report = clock is not None and config.metrics.report and self.stop.number is None
        return JobResult(summary, idle=clock is None, signal=self.stop.number, report=report)

    def _forecast(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        """What was foretold of this job against what it took; nothing before it is complete."""
        forecast = self.ledger.forecast()
        own = identity_of(self.config, self.infiller.files.digest())
        if not summary["complete"] or forecast is None or forecast["identity"] != own:
            return []
        return against(forecast, summary)


@contextmanager
def logged(ledger: Ledger, run_id: str) -> Iterator[RunLog]:
    """Keep a record of a run from here on, also where it fails or is stopped before its work."""
    log = RunLog(ledger.runs, run_id)
    try:
        yield log
    except (BatchfimError, SystemExit) as error:
        cause = str(error) if isinstance(error, BatchfimError) else "stopped before its work"
        with suppress(StorageError):  # what went wrong first is what is to be told
            log.end("failed", cause, _entry_of(run_id, ledger.summary()))
        raise


def _entry_of(run_id: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary says of a run; empty where it says nothing."""
    runs = summary.get("runs", [])
    return dict(runs[-1]) if runs and runs[-1].get("run") == run_id else {}


def failed_shards(config: JobConfig, inputs: InputSet, ledger: Ledger) -> list[Shard]:
    """Done shards with failed rows, where their files lie today: among the inputs, or as they were.

    Those of files that are gone or have changed are left out, with a warning.

    Raises:
        InputError: no others have failed rows.
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
            raise InputError(f"{config.output.path}: no failed row can be worked again: {left_out}")
        _log.warning("some failed rows are not worked again: %s", left_out)
    return found


def _left_out(shards: Sequence[Shard], paths: Collection[str]) -> str:
    """Of which files these are, those that are gone and those that are still at their paths."""
    changed = [shard.path for shard in shards if shard.path in paths]
    gone = [shard for shard in shards if shard.path not in paths]
    texts = []
    if gone:
        texts.append(
            f"{len({shard.path for shard in gone})} files are gone, such as {gone[0].path}: "
            f"restore them, or delete the parts with these rows, such as part-{gone[0].id}.parquet "
            "(which gives their other rows up, too), and run `batchfim run`"
        )
    if changed:
        texts.append(
            f"{len(set(changed))} files have changed since, such as {changed[0]}: `batchfim run` "
            "works them anew"
        )
    return "; ".join(texts)


def _files_at(config: JobConfig, path: str) -> Sequence[InputFile]:
    """The file of an earlier run's input, where it is there."""
    try:
        return open_inputs(config.input.model_copy(update={"paths": (path,)})).files
    except InputError:
        return ()


def check_pool(config: JobConfig) -> None:
    """Raises ConfigError where threads of this process would want GPUs of their own."""
    schedule = config.schedule
    if schedule.pool == "local" and schedule.workers.max > 1 and num_gpus(config) >= 1:
        raise ConfigError(
            "schedule.pool local has one GPU for all workers; use schedule.pool ray, which gives "
            "each its own, or schedule.workers 1"
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
    """Those that a pool's home has a place for."""
    if config.schedule.pool == "local":
        return []
    from batchfim.telemetry.exporting import MetricsExporter

    return [MetricsExporter(config.output.path, run, planned_rows)]


def num_gpus(config: JobConfig) -> float:
    """GPUs a worker asks of Ray."""
    if config.resources.num_gpus is not None:
        return config.resources.num_gpus
    on_gpu = config.engine.backend != "simulated" and "vllm" in versions()
    return float(config.engine.num_devices) if on_gpu else 0.0
