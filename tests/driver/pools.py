"""A pool whose workers do as they are told beforehand; everything behind it is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchfim.config import Metrics, Schedule
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.engines.engine import EngineInfo
from batchfim.errors import EngineStartError, JobFailed
from batchfim.metrics.shard_report import TIMINGS, Counts, Histogram, ShardReport
from batchfim.shards import Lease, Shard
from batchfim.storage.ledger import Ledger
from batchfim.storage.parts import write_part
from batchfim.workers.pool import Event, ShardEnded, WorkerGone, WorkerReady

RUN = "run"
SHARDS = [Shard(f"{i:020x}", "file", "content", "/a.parquet", 10 * i, 10) for i in range(4)]
Script = Callable[[str, Lease], Sequence[Event]]


@dataclass
class ScriptedPool:
    """`starts`: whether the n-th worker comes up; `script`: what a lease brings about.

    `answers`: the steps that processes tell of.
    """

    ledger: Ledger
    starts: Sequence[bool]
    script: Script | None = None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    submitted: list[tuple[str, Lease]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def add_worker(self, worker: str) -> None:
        comes_up = self.starts[len(self.added)]
        self.added.append(worker)
        if comes_up:
            self.events.append(WorkerReady(worker, EngineInfo("scripted", "1", "none"), 0.1))
        else:
            self.events.append(WorkerGone(worker, EngineStartError(f"{worker} has no memory")))

    def remove_worker(self, worker: str) -> None:
        self.removed.append(worker)

    def submit(self, worker: str, lease: Lease) -> None:
        self.submitted.append((worker, lease))
        self.events += (self.script or self.finish)(worker, lease)

    def wait(self, timeout_s: float) -> list[Event]:
        """One event a turn; nothing left to happen would make the driver wait for ever."""
        assert self.events, "the driver waits for what will not come"
        return [self.events.pop(0)]

    def steps(self) -> dict[str, int]:
        return self.answers

    def close(self) -> None:
        pass

    def finish(self, worker: str, lease: Lease) -> list[Event]:
        """Stage the part and report it."""
        shard = lease.shard
        staged = self.ledger.staged(RUN, shard.id, lease.attempt)
        table = pa.table({"row": range(shard.start, shard.start + shard.num_rows)})
        checksum, size_bytes = write_part(staged, table, "zstd")
        report = ShardReport(
            shard_id=shard.id,
            attempt=lease.attempt,
            worker=worker,
            run=RUN,
            records=shard.num_rows,
            counts=Counts(rows=shard.num_rows, ok=shard.num_rows),
            finish_reasons={},
            errors={},
            timings={name: Histogram() for name in TIMINGS},
            checksum=checksum,
            size_bytes=size_bytes,
            **dict.fromkeys(("read_s", "encode_s", "generate_s", "write_s"), 0.1),
        )
        return [ShardEnded(worker, lease, report)]


def lose(worker: str, _lease: Lease) -> list[Event]:
    """A worker that is lost with whatever it holds."""
    return [WorkerGone(worker, JobFailed(f"{worker} was killed"))]


def open_ledger(folder: Path) -> Ledger:
    ledger = Ledger.at(str(folder / "out"))
    ledger.prepare()
    return ledger


def drive(
    pool: ScriptedPool,
    *,
    stop_grace_s: Callable[[], float | None] = lambda: None,
    may_commit: Callable[[], bool] = lambda: True,
    **schedule: Any,
) -> Driver:
    """A driver of four shards over such a pool, not run yet."""
    settings = Schedule(**schedule)
    queue = ShardQueue(SHARDS, settings.task_attempts, settings.node_losses)
    progress = Progress(Metrics(progress="none"), 40)
    return Driver(
        run_id=RUN,
        pool=pool,
        queue=queue,
        commit=pool.ledger.commit,
        split=pool.ledger.split,
        fingerprint="print",
        schedule=settings,
        watchers=[progress],
        stop_grace_s=stop_grace_s,
        may_commit=may_commit,
    )
