"""Claim an output for a job; refused if settings that decide its rows have changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.models.infiller import Infiller
from batchfim.regroup.regroup import kept_columns
from batchfim.shards import short_digest
from batchfim.storage.inputs import InputSet
from batchfim.storage.kept import as_before, packed, without_nulls
from batchfim.storage.ledger import Ledger
from batchfim.versions import versions

_log = logging.getLogger(__name__)


def claim(
    config: JobConfig, inputs: InputSet, infiller: Infiller, ledger: Ledger
) -> tuple[str, InputSet]:
    """Claim the output for this job.

    Returns:
        The job's fingerprint, and the input with the columns that the job keeps.
    """
    inputs = with_columns_of(ledger, inputs)
    fields, defaults = job_settings(config, inputs, infiller)
    facts = {
        "config": config.public_dump(),
        "versions": versions(),
        "model": infiller.facts,
        "kept": packed(kept_columns(config, inputs)),
    }
    fingerprint = ledger.claim_job(fields, defaults, facts)
    changed = _changed(ledger.job().get("versions", {}), versions())
    if changed:
        _log.warning(
            "versions have changed since the job's first run (%s); middles may differ from "
            "earlier ones",
            changed,
        )
    ledger.compact()
    return fingerprint, inputs


def job_settings(
    config: JobConfig, inputs: InputSet, infiller: Infiller
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that decide a job's rows, and those of a job that sets nothing."""
    fields = config.fingerprint_fields() | infiller.fingerprint_fields()
    fields["columns kept"] = {field.name: str(field.type) for field in kept_columns(config, inputs)}
    return fields, config.fingerprint_defaults() | infiller.fingerprint_defaults()


def forecast_identity(config: JobConfig, digest: str) -> str:
    """A hash of what a forecast is for: the settings that decide the output, and the model."""
    fields = config.fingerprint_fields()
    return short_digest(json.dumps(fields, sort_keys=True, default=str), digest)


def with_columns_of(ledger: Ledger, inputs: InputSet) -> InputSet:
    """The input with its columns in the order and the types in which the job's first run kept them.

    Raises:
        OutputError: the output is of another version of batchfim, or damaged.
    """
    before = ledger.kept() if ledger.has_job() else pa.schema([])
    return replace(inputs, kept=without_nulls(as_before(inputs.kept, before)))


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = sorted(before.keys() | now.keys())
    changes = ((name, before.get(name, "none"), now.get(name, "none")) for name in names)
    return ", ".join(f"{name} {old} became {new}" for name, old, new in changes if old != new)
