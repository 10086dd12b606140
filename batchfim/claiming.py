"""Claim an output for a job; refused if settings that decide its rows have changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from batchfim.config import JobConfig
from batchfim.infiller import Infiller
from batchfim.regroup.regroup import kept_columns
from batchfim.storage.inputs import InputSet
from batchfim.storage.ledger import Ledger
from batchfim.versions import versions

_log = logging.getLogger(__name__)


def claim(config: JobConfig, inputs: InputSet, infiller: Infiller, ledger: Ledger) -> str:
    """Claim the output for this job, and return the job's fingerprint."""
    fields, defaults = job_settings(config, inputs, infiller)
    facts = {"config": config.public_dump(), "versions": versions(), "model": infiller.facts}
    fingerprint = ledger.claim_job(fields, defaults, facts)
    changed = _changed(ledger.job().get("versions", {}), versions())
    if changed:
        _log.warning(
            "versions have changed since the job's first run (%s); middles may differ from "
            "earlier ones",
            changed,
        )
    ledger.compact()
    return fingerprint


def job_settings(
    config: JobConfig, inputs: InputSet, infiller: Infiller
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that decide a job's rows, and those of a job that sets nothing."""
    fields = config.fingerprint_fields() | infiller.fingerprint_fields()
    fields["columns kept"] = [
        str(field.remove_metadata()) for field in kept_columns(config, inputs)
    ]
    return fields, config.fingerprint_defaults() | infiller.fingerprint_defaults()


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = sorted(before.keys() | now.keys())
    changes = ((name, before.get(name, "none"), now.get(name, "none")) for name in names)
    return ", ".join(f"{name} {old} became {new}" for name, old, new in changes if old != new)
