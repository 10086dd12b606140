"""The interface between the driver and a pool of workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.engines.engine import EngineInfo
from batchfim.errors import BatchfimError
from batchfim.metrics.shard_report import ShardReport
from batchfim.records import NO_LANGUAGE, LanguageColumns
from batchfim.shards import Lease


@dataclass(frozen=True)
class WorkerSpec:
    """Everything a worker needs to start."""

    config: JobConfig
    kept: pa.Schema  # the columns of the rows in the output
    run: str  # names this run's staged parts
    run_record: str  # the run's file in the ledger, by which a machine recognizes the output
    language_columns: LanguageColumns = NO_LANGUAGE
    retry: bool = False  # whether only the failed rows of completed shards are processed
    # As the driver saw them; every worker must load the same. Adapters by their places.
    model_digest: str = field(kw_only=True)
    adapter_digests: Mapping[str, str] = field(default_factory=dict, kw_only=True)


class FailureKind(StrEnum):
    """The kind of failure of an attempt, which decides which budget it is charged to."""

    TASK = "task"  # processing raised: charged to the shard's attempts
    INPUT = "input"  # its rows cannot be read: charged likewise, but no setback of the job
    STORAGE = "storage"  # not the shard's fault
    ENGINE = "engine"  # the engine died: its worker must be replaced


@dataclass(frozen=True)
class ShardFailure:
    """An attempt that raised."""

    cause: str
    kind: FailureKind = FailureKind.TASK


@dataclass(frozen=True)
class WorkerReady:
    """A worker's engine is up; `host` is the machine's name, or its pod's."""

    worker: str
    engine: EngineInfo
    start_s: float
    host: str = ""


@dataclass(frozen=True)
class WorkerGone:
    """A worker failed to start (`error` says why), or was lost later.

    `node_lost`: it was lost together with its machine, so no shard is to blame.
    """

    worker: str
    error: BatchfimError
    node_lost: bool = False


@dataclass(frozen=True)
class WorkerLeaving:
    """A worker's machine will leave soon; until then the worker processes the shards it holds."""

    worker: str


@dataclass(frozen=True)
class ShardBegun:
    """All prompts of a lease are in the engine, so its worker may take the next shard."""

    worker: str
    lease: Lease


@dataclass(frozen=True)
class ShardEnded:
    """A lease ended, with a report or a failure."""

    worker: str
    lease: Lease
    outcome: ShardReport | ShardFailure


Event = WorkerReady | WorkerGone | WorkerLeaving | ShardBegun | ShardEnded


class Pool(Protocol):
    """Starts workers, hands leases to them and reports events of both."""

    def add_worker(self, worker: str) -> None:
        """Start a worker of this name; `WorkerReady` or `WorkerGone` follows."""

    def remove_worker(self, worker: str) -> None:
        """End a worker at once; no further events of it follow."""

    def submit(self, worker: str, lease: Lease) -> None:
        """Hand a lease to a worker that is ready; `ShardEnded` or `WorkerGone` follows.

        `ShardBegun` may come before it.
        """

    def wait(self, timeout_s: float) -> list[Event]:
        """Wait for the first event, or until the time-out; returns all events there are."""

    def steps(self) -> Mapping[str, int]:
        """Last known step count of each worker; workers without a process are not included."""

    def close(self) -> None:
        """End all workers and leave no process behind."""
