"""A worker tells when the engine has all of a shard, while its middles are still made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchfim.metrics.run_record import RunRecord
from batchfim.shards import Lease, Shard
from batchfim.storage.ledger import Ledger
from batchfim.workers.local import LocalPool
from batchfim.workers.pool import Pool, ShardBegun, WorkerReady, WorkerSpec
from batchfim.workers.ray import RayPool
from tests.parquet import content_of
from tests.workers.conftest import WAIT_S, until_ended

RUN = RunRecord(id="run", started_at=datetime(2026, 1, 1, tzinfo=UTC), host="h", shards_to_do=1)
SLOW = "engine.simulated.decode_tokens_per_s=2"
HOMES: dict[str, Callable[[WorkerSpec], Pool]] = {
    "local": LocalPool,
    "ray": lambda spec: RayPool(spec, 0),
}


@pytest.mark.parametrize("home", HOMES)
def test_a_shard_is_begun_before_it_ends(
    make_spec: Callable[..., WorkerSpec], tmp_path: Path, home: str
) -> None:
    spec = replace(
        make_spec(SLOW, "resources.ray_address=local"),
        run_record="20260101T000000.000000Z-run.json",
    )
    Ledger.at(spec.config.output.path).runs.write(RUN)
    pool = HOMES[home](spec)
    path = str(tmp_path / "a.parquet")
    lease = Lease(Shard("s" * 20, "file", content_of(tmp_path / "a.parquet"), path, 0, 8), 1)
    try:
        pool.add_worker("w")
        (event,) = pool.wait(WAIT_S)
        assert isinstance(event, WorkerReady), event
        pool.submit("w", lease)
        before, ended = until_ended(pool)
        assert before == [ShardBegun("w", lease)]
        assert ended.lease == lease
    finally:
        pool.close()
