"""Shards are encoded one after the other: what a tokenizer returns is the most a worker holds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batchfim.engines.build import build_engine
from batchfim.models.infiller import open_infiller
from batchfim.shards import Lease, Shard
from batchfim.workers.pool import WorkerSpec
from batchfim.workers.worker import Worker
from tests.parquet import content_of

SHORT_S = 0.3


class Meeting:
    """An encoder that notes whether two calls of it are ever under way at once."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._inside = threading.Semaphore(1)
        self.met = False
        self.num_calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, *args: Any) -> Any:
        self.num_calls += 1
        alone = self._inside.acquire(timeout=SHORT_S)
        self.met = self.met or not alone
        threading.Event().wait(2 * SHORT_S)  # so that another has the time to come
        if alone:
            self._inside.release()
        return self._encoder.encode(*args)


def test_no_two_shards_are_encoded_at_once(make_spec: Callable[..., WorkerSpec]) -> None:
    spec = make_spec()
    infiller = open_infiller(spec.config, weights=False)
    meeting = Meeting(infiller.encoder)
    infiller = replace(infiller, encoder=meeting)  # type: ignore[arg-type]
    worker = Worker("w", spec, infiller, build_engine(spec.config, infiller))
    (path,) = spec.config.input.paths
    shards = [Shard(f"{i:020}", "file", content_of(path), path, 2 * i, 2) for i in range(3)]

    async def all_at_once() -> list[Any]:
        await worker._engine.start()
        return await asyncio.gather(*(worker.work(Lease(shard, 1)) for shard in shards))

    reports = asyncio.run(all_at_once())
    assert [report.records for report in reports] == [2, 2, 2]
    assert meeting.num_calls == 3
    assert not meeting.met


def test_a_shards_wait_for_the_encoder_is_in_its_phases(
    make_spec: Callable[..., WorkerSpec],
) -> None:
    spec = make_spec()
    infiller = open_infiller(spec.config, weights=False)
    worker = Worker("w", spec, infiller, build_engine(spec.config, infiller))
    (path,) = spec.config.input.paths
    shard = Shard("0" * 20, "file", content_of(path), path, 0, 2)

    async def behind_another() -> tuple[Any, float]:
        async with worker._pipeline._encoding:
            working = asyncio.create_task(worker.work(Lease(shard, 1)))
            while worker.num_steps == 0:  # it is still read
                await asyncio.sleep(0.01)
            since_s = time.monotonic()
            await asyncio.sleep(SHORT_S)
            waited_s = time.monotonic() - since_s
        return await working, waited_s

    report, waited_s = asyncio.run(behind_another())
    assert report.encode_s >= waited_s
