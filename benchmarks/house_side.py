"""batchfim's worker, which reads, encodes, orders, generates, finishes and writes shards."""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvloop

from batchfim.arrow import skip_pandas_import
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.driver.leasing import has_room
from batchfim.engines.build import build_engine
from batchfim.metrics.shard_report import Counts, ShardReport
from batchfim.models.infiller import open_infiller
from batchfim.planning.cutting import cut_shards
from batchfim.regroup.regroup import kept_columns, regrouped
from batchfim.shards import InputFile, Lease
from batchfim.storage.inputs import open_inputs
from batchfim.storage.ledger import Ledger
from batchfim.workers.pool import ShardFailure, WorkerSpec
from batchfim.workers.worker import Worker
from benchmarks.sides import Cpu, Round, Setup

ORDER = "psm"
KEPT = ("id",)


def house_config(setup: Setup, path: Path, output: Path) -> JobConfig:
    """A job on one worker, with the settings that a benchmark adds."""
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
    """One worker that gets leases as from the driver."""

    regroups = False

    def __init__(self, setup: Setup) -> None:
        """Start the engine in the event loop that will process the shards."""
        skip_pandas_import()  # as a worker does
        self._folder = setup.folder / f"house-{type(self).__name__}"
        self._config = house_config(setup, Path("none"), self._folder)
        if self.regroups:
            planning = self._config.planning.model_copy(update={"regroup": "content"})
            self._config = self._config.model_copy(update={"planning": planning})
        Ledger.at(str(self._folder)).prepare()
        self._loop = uvloop.new_event_loop()  # as in a worker
        self._infiller = open_infiller(self._config, weights=True)
        self._engine: Any = build_engine(self._config, self._infiller)
        self._max_num_seqs = self._loop.run_until_complete(self._engine.start()).max_num_seqs

    def work(self, path: Path) -> Round:
        """Complete a file, timed from the first lease to the last part written.

        Cutting the shards is timed too, and regrouping separately.
        """
        return self._loop.run_until_complete(self._work(path))

    def close(self) -> None:
        """End the engine."""
        self._loop.run_until_complete(self._engine.stop())

    async def _work(self, path: Path) -> Round:
        self._engine._stepper._llm.reset_prefix_cache()  # not public, as no user needs it
        started_s = time.perf_counter()
        worker, files = self._prepare(path)
        regroup_s = time.perf_counter() - started_s
        cpu, started_s = Cpu.now(), time.perf_counter()
        reports = await self._work_all(worker, self._leases(files))
        counts = Counts.sum([report.counts for report in reports])
        assert counts.ok == counts.rows, counts
        return Round(
            seconds=time.perf_counter() - started_s,
            records=counts.rows,
            prompt_tokens=counts.prompt_tokens,
            cached_tokens=counts.cached_tokens,
            output_tokens=counts.completion_tokens,
            kept_tokens=counts.kept_tokens,
            cpu=cpu.since(),
            regroup_s=regroup_s if self.regroups else None,
        )

    def _prepare(self, path: Path) -> tuple[Worker, Sequence[InputFile]]:
        """A worker on the file's records, which are regrouped if `regroups` is set."""
        source = self._config.input.model_copy(update={"paths": (str(path),)})
        config = self._config.model_copy(update={"input": source})
        inputs = open_inputs(source)
        kept = kept_columns(config, inputs)
        files = _regrouped(config, self._folder) if self.regroups else inputs.files
        spec = WorkerSpec(
            config, kept, "run", "run.json", model_digest=self._infiller.files.digest()
        )
        max_num_seqs = self._max_num_seqs
        worker = Worker("house", spec, self._infiller, self._engine, max_num_seqs=max_num_seqs)
        return worker, files

    def _leases(self, files: Sequence[InputFile]) -> deque[Lease]:
        shards = cut_shards(files, self._config.schedule.shard_rows, "benchmark")
        return deque(Lease(shard, 1) for shard in shards)

    async def _work_all(self, worker: Worker, leases: deque[Lease]) -> list[ShardReport]:
        told: asyncio.Queue[Lease | ShardReport | ShardFailure] = asyncio.Queue()
        reports: list[ShardReport] = []
        in_hand: dict[str, asyncio.Task[None]] = {}  # by shard
        held: dict[str, int] = {}  # rows by shard
        ahead: dict[str, int] = {}  # rows of shards not begun yet, by shard

        async def work(lease: Lease) -> None:
            told.put_nowait(await worker.work(lease, lambda: told.put_nowait(lease)))

        while leases or in_hand:
            while leases and self._has_room(held.values(), ahead.values()):
                lease = leases.popleft()
                held[lease.shard.id] = ahead[lease.shard.id] = lease.shard.num_rows
                in_hand[lease.shard.id] = asyncio.create_task(work(lease))
            news = await told.get()
            if isinstance(news, Lease):
                del ahead[news.shard.id]
                continue
            assert isinstance(news, ShardReport), news
            del in_hand[news.shard_id], held[news.shard_id]
            reports.append(news)
        return reports

    def _has_room(self, rows_held: Collection[int], rows_ahead: Collection[int]) -> bool:
        return has_room(
            self._config.schedule,
            self._config.schedule.records_in_flight(self._max_num_seqs, 1),
            num_shards=len(rows_held),
            rows_held=sum(rows_held),
            rows_ahead=rows_ahead,
            num_waiting=math.inf,  # there is no other worker
        )


class RegroupedSide(HouseSide):
    """batchfim's worker with `planning.regroup: content`."""

    regroups = True


def _regrouped(config: JobConfig, folder: Path) -> Sequence[InputFile]:
    """Regroup in a separate process, so that the measured one has no Ray."""
    # A new folder each time, since copies from an earlier round would be reused.
    output = tempfile.mkdtemp(prefix="regrouped-", dir=folder)
    place = config.output.model_copy(update={"path": output})
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        return processes.submit(_regroup, config.model_copy(update={"output": place})).result()


def _regroup(config: JobConfig) -> Sequence[InputFile]:
    ledger = Ledger.at(config.output.path)
    ledger.prepare()
    return regrouped(config, open_inputs(config.input), ledger, may_finish=lambda: True).files
