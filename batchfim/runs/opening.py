"""Open a job for a run: what is checked before anything is written, then its lease and claim."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from batchfim.accounts.summary_text import SLOW_ENGINE
from batchfim.config import JobConfig
from batchfim.config.absolute_paths import absolute
from batchfim.engines.build import resolve_job
from batchfim.regroup.regroup import check_regroup, regrouped
from batchfim.runs.claiming import claim
from batchfim.runs.pools import check_pool
from batchfim.runs.run import Run, logged
from batchfim.signals import exit_signals, stop_signals
from batchfim.storage.inputs import InputSet, check_apart, check_languages, open_inputs
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from batchfim.telemetry.events import log_events

_log = logging.getLogger(__name__)


@contextmanager
def opened(config: JobConfig) -> Iterator[tuple[Run, InputSet]]:
    """Check a job, hold its lease and claim its output; yields the run and the input it reads.

    Raises:
        UserError: the config, input, model or output is wrong; nothing was written.
        JobHeld: another run holds the job's lease.
    """
    started_s = time.monotonic()
    config, run_id = absolute(config), uuid.uuid4().hex[:8]
    log_events(config.metrics.log, job=config.output.path, run=run_id)
    check_apart(config.input, config.output.path)
    inputs = open_inputs(config.input)
    check_languages(config.infill, inputs.language_columns)
    check_regroup(config, inputs)
    config, infiller = resolve_job(config)
    check_pool(config)
    if config.engine.backend == "transformers":
        _log.warning("%s", SLOW_ENGINE)
    ledger = Ledger.at(config.output.path)
    ledger.prepare()
    with ExitStack() as holding:
        with exit_signals():  # acquiring may have to wait until a dead machine's lease expires
            lease = holding.enter_context(JobLease(ledger.lease_folder))
        ledger.guard(lease.check)
        fingerprint, inputs = claim(config, inputs, infiller, ledger)
        log = holding.enter_context(logged(ledger, run_id))
        before_s = time.monotonic()
        with exit_signals():
            inputs = regrouped(config, inputs, ledger, lambda: not lease.lost)
        regroup_s = time.monotonic() - before_s if config.planning.regroups else 0.0
        with stop_signals() as stop:
            run = Run(
                id=run_id,
                config=config,
                infiller=infiller,
                ledger=ledger,
                fingerprint=fingerprint,
                lease=lease,
                stop=stop,
                log=log,
                started_s=started_s,
                regroup_s=regroup_s,
            )
            yield run, inputs
