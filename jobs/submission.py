"""A submission: the resolved job file, and an id that is always the same for the same job."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from batchfim.config import JobConfig
from batchfim.shards import short_digest

_STOP_MARGIN_S = 30  # after the grace period: to commit shards, audit and write the summary
JOB_FILE = "job.yaml"


class Entry(StrEnum):
    """The modules of `jobs/` that run on a cluster."""

    INFILL = "infill"
    RETRY = "retry"
    BENCH = "bench"
    PREFETCH = "prefetch"


@dataclass(frozen=True)
class Submission:
    """A job to be submitted to a cluster."""

    config: JobConfig
    entry: Entry

    @property
    def base_id(self) -> str:
        """Id of the job's first turn, the same for the same job; later turns append a number."""
        tree = self.config.model_dump(mode="json")
        return f"batchfim-{self.entry}-{short_digest(json.dumps(tree, sort_keys=True))[:12]}"

    @property
    def entrypoint(self) -> str:
        return f"python -m jobs.{self.entry} --job-file {JOB_FILE}"

    @property
    def job_file(self) -> str:
        """The job as one self-contained file, independent of where it is read."""
        tree = self.config.model_dump(mode="json", exclude_none=True)
        return yaml.safe_dump(tree, sort_keys=False)

    @property
    def environment(self) -> dict[str, str]:
        """Environment that gives the job time to stop; by default Ray kills it after 3 seconds."""
        wait_s = math.ceil(self.config.schedule.grace_s) + _STOP_MARGIN_S
        return {"RAY_JOB_STOP_WAIT_TIME_S": str(wait_s)}

    def shown(self) -> dict[str, Any]:
        """The submission as `--dry-run` prints it, without secrets."""
        return {
            "submission_id": self.base_id,
            "entrypoint": self.entrypoint,
            "environment": self.environment,
            "job": self.config.public_dump(),
        }


def turns(base_id: str, known: Iterable[str]) -> list[str]:
    """Ids that this job already had, in order: the base, then base-2, base-3, ..."""
    numbers = (_turn(base_id, one) for one in known)
    return [_id(base_id, number) for number in sorted(filter(None, numbers))]


def next_turn(base_id: str, had: list[str]) -> str:
    """The id that follows those the job already had."""
    return _id(base_id, _turn(base_id, had[-1]) + 1 if had else 1)


def stop_command(job_id: str, address: str, auth_mode: str | None) -> str:
    """Command that stops a job, for a person to copy.

    It includes the auth mode, since Ray's command sends no token by default.
    """
    mode = f"RAY_AUTH_MODE={auth_mode} " if auth_mode else ""
    return f"{mode}ray job stop {job_id} --address {address}"


def _id(base_id: str, turn: int) -> str:
    return base_id if turn == 1 else f"{base_id}-{turn}"


def _turn(base_id: str, one: str) -> int:
    """The turn that an id stands for; 0 if it is another job's."""
    if one == base_id:
        return 1
    head, _, number = one.rpartition("-")
    return int(number) if head == base_id and number.isdigit() else 0
