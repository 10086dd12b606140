"""What the driver asks of the place where its workers live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from batchfim.config import JobConfig
from batchfim.engines.engine import EngineInfo
from batchfim.errors import BatchfimError
from batchfim.metrics.report import ShardReport
from batchfim.records import NO_LANGUAGE, LanguageColumns
from batchfim.shards import Lease


@dataclass(frozen=True)
class WorkerSpec:
    """All a worker is told when it starts."""

    config: JobConfig
    kept_columns: tuple[str, ...]
    run: str  # names this run's staged parts
    run_record: str  # the run's file in the ledger, by which a machine knows the output
    language_columns: LanguageColumns = NO_LANGUAGE
    retry: bool = False  # shards are done, and only their failed rows are worked
    # What the driver saw, and every worker must load; the adapters' by their places.
    model_digest: str = field(kw_only=True)
    adapter_digests: Mapping[str, str] = field(default_factory=dict, kw_only=True)


class FailureKind(StrEnum):
    """What an attempt failed on, which decides who pays for it."""

    TASK = "task"  # the work on it raised: one of the shard's own attempts
    INPUT = "input"  # its rows cannot be read: likewise, and nobody else is concerned
    STORAGE = "storage"  # no fault of the shard's
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
    """A worker ended: it did not come up (`error` says why), or it was lost later.

    `node_lost`: together with its machine, so that nothing it worked on is to blame.
    """

    worker: str
    error: BatchfimError
    node_lost: bool = False


@dataclass(frozen=True)
class WorkerLeaving:
    """A worker's machine will be taken away soon; until then it works what it has in hand."""

    worker: str


@dataclass(frozen=True)
class ShardBegun:
    """All prompts of a lease are with the engine, so that its worker may want the next shard."""

    worker: str
    lease: Lease


@dataclass(frozen=True)
class ShardEnded:
    """A lease came back."""

    worker: str
    lease: Lease
    outcome: ShardReport | ShardFailure


Event = WorkerReady | WorkerGone | WorkerLeaving | ShardBegun | ShardEnded


class Pool(Protocol):
    """Starts workers, hands them leases, tells what became of both."""

    def add_worker(self, worker: str) -> None:
        """Start a worker of this name; `WorkerReady` or `WorkerGone` follows."""

    def remove_worker(self, worker: str) -> None:
        """End a worker at once; nothing more is heard of it."""

    def submit(self, worker: str, lease: Lease) -> None:
        """Hand a lease to a worker that is ready; `ShardEnded` or `WorkerGone` follows.

        Before it, `ShardBegun` may.
        """

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened; returns at the first event, or empty after the time-out."""

    def steps(self) -> Mapping[str, int]:
        """Steps of work each worker has made, as last heard; without those not there yet."""

    def close(self) -> None:
        """End all workers and leave no process behind."""
