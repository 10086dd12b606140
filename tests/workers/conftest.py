"""Shards worked by the simulated engine on the local pool: real files, the demo's tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.config.files import load_config
from batchfim.metrics.shard_report import ShardReport
from batchfim.models.infiller import open_infiller
from batchfim.shards import Lease, Shard
from batchfim.storage.inputs import open_inputs
from batchfim.storage.ledger import Ledger
from batchfim.workers.local import LocalPool
from batchfim.workers.pool import Event, Pool, ShardEnded, ShardFailure, WorkerReady, WorkerSpec
from tests.parquet import content_of

RECORDS = {
    "id": [f"r{i}" for i in range(8)],
    "prefix": [f"def f{i}(x):\n    return " for i in range(8)],
    "suffix": [f"\n\nprint(f{i}(1))\n" for i in range(8)],
}
SIMULATED = ("engine.backend=simulated", "schedule.pool=local")
WAIT_S = 60.0


def until_ended(pool: Pool) -> tuple[list[Event], ShardEnded]:
    """What is told of a lease before its end, and its end."""
    before: list[Event] = []
    while True:
        events = pool.wait(WAIT_S)
        assert events
        if isinstance(events[-1], ShardEnded):
            return [*before, *events[:-1]], events[-1]
        before += events


@dataclass
class Desk:
    """One worker, its input file and its ledger."""

    pool: LocalPool
    ledger: Ledger
    path: Path

    def lease(self, start: int = 0, num_rows: int = 8, attempt: int = 1, **more: Any) -> Lease:
        shard = Shard(
            f"{start:020}", "file", content_of(self.path), str(self.path), start, num_rows
        )
        return Lease(shard, attempt, **more)

    def work(self, lease: Lease) -> ShardReport | ShardFailure:
        self.pool.submit("w", lease)
        _, ended = until_ended(self.pool)
        assert ended.lease == lease
        return ended.outcome

    def rows(self, lease: Lease) -> list[dict[str, Any]]:
        """What the attempt staged."""
        report = self.work(lease)
        assert isinstance(report, ShardReport), report
        staged = self.ledger.staged("run", lease.shard.id, lease.attempt)
        return list(pq.read_table(staged.path).to_pylist())


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., WorkerSpec]:
    """Write records (columns may be replaced) and a ledger; a job over them, with settings."""

    def make(*sets: str, **columns: Any) -> WorkerSpec:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table(RECORDS | columns), path)
        flags = {"input.paths": [str(path)], "output.path": str(tmp_path / "out")}
        config = load_config(None, flags | {"model.path": "demo"}, (*SIMULATED, *sets))
        Ledger.at(config.output.path).prepare()
        inputs = open_inputs(config.input)
        infiller = open_infiller(config, weights=False)
        return WorkerSpec(
            config,
            pa.schema([inputs.kept.field(name) for name in RECORDS]),
            "run",
            "run.json",
            inputs.language_columns,
            model_digest=infiller.files.digest(),
            adapter_digests=infiller.adapter_digests,
        )

    return make


@pytest.fixture
def open_desk(
    make_spec: Callable[..., WorkerSpec], request: pytest.FixtureRequest
) -> Callable[..., Desk]:
    """Start a worker on such a job and wait till it is up."""

    def start(*sets: str, **columns: Any) -> Desk:
        spec = make_spec(*sets, **columns)
        pool = LocalPool(spec)
        request.addfinalizer(pool.close)
        pool.add_worker("w")
        (event,) = pool.wait(WAIT_S)
        assert isinstance(event, WorkerReady)
        config = spec.config
        return Desk(pool, Ledger.at(config.output.path), Path(config.input.paths[0]))

    return start
