"""batchfim's worker: read, encode, order, generate, finish and write shards of a Parquet file."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import Any

from batchfim.config import Input, JobConfig
from batchfim.config_file import load_config
from batchfim.engines.build import build_engine
from batchfim.infiller import open_infiller
from batchfim.metrics.report import Counts, ShardReport
from batchfim.planning.cutting import cut_shards
from batchfim.shards import Lease
from batchfim.storage.inputs import open_inputs
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.workers.pool import ShardFailure, WorkerSpec
from batchfim.workers.worker import Worker
from benchmarks.sides import Cpu, Round, Setup

ORDER = "psm"
KEPT = ("id",)


def house_config(setup: Setup, path: Path, output: Path) -> JobConfig:
    """A job on one worker, with the settings a benchmark adds."""
    settings = {
        "input.paths": [str(path)],
        "input.keep": list(KEPT),
        "output.path": str(output),
        "model.path": setup.model,
        "infill.order": ORDER,
        "sampling.max_tokens": setup.max_tokens,
        "engine.max_model_len": setup.max_model_len,
        "engine.kv_cache_gib": setup.kv_cache_gib,
        "engine.args": setup.args,
        "schedule.pool": "local",
        "metrics.progress": "none",
    }
    return load_config(None, settings | setup.house)


class HouseSide:
    """One worker, given leases as the driver gives them: always `shards_in_hand` of them."""

    def __init__(self, setup: Setup) -> None:
        """Start the engine, in the event loop that will work the shards."""
        output = setup.folder / "house"
        config = house_config(setup, Path("none"), output)
        Ledger(Location.of(str(output))).prepare()
        self._schedule = config.schedule
        self._loop = asyncio.new_event_loop()
        infiller = open_infiller(config, weights=True)
        self._engine: Any = build_engine(config, infiller)
        self._loop.run_until_complete(self._engine.start())
        self._worker = Worker("house", WorkerSpec(config, KEPT, "run"), infiller, self._engine)

    def work(self, path: Path) -> Round:
        """From the first lease to the last part written; cutting the shards is timed too."""
        return self._loop.run_until_complete(self._work(path))

    def close(self) -> None:
        """End the engine."""
        self._loop.run_until_complete(self._worker.stop())

    async def _work(self, path: Path) -> Round:
        await self._engine._llm.reset_prefix_cache()  # no user needs it, so it has no other door
        cpu, started_s = Cpu.now(), time.perf_counter()
        leases = self._leases(path)
        hands = [self._hand(leases) for _ in range(self._schedule.shards_in_hand)]
        reports = [report for hand in await asyncio.gather(*hands) for report in hand]
        counts = Counts.sum([report.counts for report in reports])
        assert counts.ok == counts.rows, counts
        return Round(
            seconds=time.perf_counter() - started_s,
            records=counts.rows,
            prompt_tokens=counts.prompt_tokens,
            cached_tokens=counts.cached_tokens,
            output_tokens=counts.completion_tokens,
            cpu=cpu.since(),
        )

    def _leases(self, path: Path) -> deque[Lease]:
        (file,) = open_inputs(Input(paths=(str(path),), keep=KEPT)).files
        shards = cut_shards([file], self._schedule.shard_rows, "benchmark")
        return deque(Lease(shard, 1) for shard in shards)

    async def _hand(self, leases: deque[Lease]) -> list[ShardReport]:
        reports = []
        while leases:
            report = await self._worker.work(leases.popleft())
            assert not isinstance(report, ShardFailure), report
            reports.append(report)
        return reports
