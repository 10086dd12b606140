"""What a worker makes of what its engine answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from batchfim.engines.build import build_engine
from batchfim.engines.engine import Generation, Request
from batchfim.errors import TryAgain
from batchfim.metrics.shard_report import SIZES
from batchfim.models.infiller import open_infiller
from batchfim.shards import Lease, Shard
from batchfim.workers.pool import WorkerSpec
from batchfim.workers.worker import Worker
from tests.parquet import content_of
from tests.workers.test_workers_copies import TWICE

Generate = Callable[[Any, Request], Awaitable[list[Generation]]]


class Around:
    """An engine whose answers pass through a function of the test's."""

    def __init__(self, engine: Any, generate: Generate) -> None:
        self._engine, self._generate = engine, generate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(self, request: Request) -> list[Generation]:
        return await self._generate(self._engine, request)


def work(
    spec: WorkerSpec, generate: Generate, finisher: Any = None, then: Any = None, **more: Any
) -> Any:
    infiller = open_infiller(spec.config, weights=False)
    if finisher:
        infiller = replace(infiller, finisher=finisher(infiller.finisher))
    engine: Any = Around(build_engine(spec.config, infiller), generate)
    worker = Worker("w", spec, infiller, engine)
    (path,) = spec.config.input.paths
    lease = Lease(Shard("0" * 20, "file", content_of(path), path, 0, 8), 1)

    async def one() -> Any:
        await engine.start()
        told = await asyncio.wait_for(worker.work(lease, **more), 30)
        if then:
            await asyncio.wait_for(then(worker), 30)
        return told

    return asyncio.run(one()), worker


@pytest.mark.parametrize(("attempts", "num_ok"), [(2, 0), (3, 8)])
def test_a_record_is_tried_as_often_as_it_may(
    make_spec: Callable[..., WorkerSpec], attempts: int, num_ok: int
) -> None:
    tries: Counter[str] = Counter()

    async def fail_twice(engine: Any, request: Request) -> list[Generation]:
        tries[request.request_id] += 1
        if tries[request.request_id] < 3:
            raise TryAgain("for a while")
        return list(await engine.generate(request))

    report, _ = work(make_spec(f"schedule.record_attempts={attempts}"), fail_twice)
    assert (report.counts.ok, report.counts.failed) == (num_ok, 8 - num_ok)
    assert set(tries.values()) == {attempts}


def test_a_shard_is_begun_while_its_middles_are_made(make_spec: Callable[..., WorkerSpec]) -> None:
    begun = asyncio.Event()

    async def when_begun(engine: Any, request: Request) -> list[Generation]:
        await begun.wait()
        return list(await engine.generate(request))

    report, _ = work(make_spec(), when_begun, begun=begun.set)
    assert report.counts.ok == 8


def test_what_ended_gives_all_its_room_back(make_spec: Callable[..., WorkerSpec]) -> None:
    async def ask(engine: Any, request: Request) -> list[Generation]:
        return list(await engine.generate(request))

    _, worker = work(make_spec(), ask)
    in_flight = worker._pipeline._in_flight
    assert (in_flight.num_records, in_flight._tokens) == (0, 0)


@pytest.mark.parametrize("max_in_flight", [3, 8])
def test_a_shard_that_fails_leaves_nothing_in_the_engine(
    make_spec: Callable[..., WorkerSpec], max_in_flight: int
) -> None:
    """It may be worked again at once, here."""
    inside, left = 0, asyncio.Event()

    async def fail_at_the_third(engine: Any, request: Request) -> list[Generation]:
        nonlocal inside
        inside += 1
        try:
            if inside == 3:
                raise MemoryError("of the test's")
            await asyncio.Event().wait()
            return []
        finally:
            inside -= 1
            if not inside:
                left.set()

    async def then(worker: Any) -> None:
        await left.wait()
        await asyncio.sleep(0)

    spec = make_spec(f"schedule.in_flight_records={max_in_flight}")
    failure, worker = work(spec, fail_at_the_third, then=then)
    assert "MemoryError" in failure.cause
    in_flight = worker._pipeline._in_flight
    assert (inside, in_flight.num_records, in_flight._tokens) == (0, 0, 0)


def test_samples_count_toward_what_is_in_flight(make_spec: Callable[..., WorkerSpec]) -> None:
    inside = most = 0

    async def count(engine: Any, request: Request) -> list[Generation]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            await asyncio.sleep(0.01)
            return list(await engine.generate(request))
        finally:
            inside -= 1

    report, _ = work(make_spec("sampling.n=128", "sampling.temperature=1"), count)
    assert report.counts.ok == 8 * 128
    assert most == 4  # prompts, whose samples are twice the 256 that the engine takes

    few_tokens = ("sampling.n=8", "sampling.temperature=1", "schedule.in_flight_tokens=500")
    most = 0
    work(make_spec(*few_tokens), count)
    assert most < 8


@pytest.mark.parametrize(
    ("reason", "told"),
    [("stop", (False, False)), ("length", (True, False)), ("rule", (False, True))],
)
def test_how_the_engine_ended_a_sample_is_told_to_the_rules(
    make_spec: Callable[..., WorkerSpec], reason: str, told: tuple[bool, bool]
) -> None:
    found = set()

    async def end_so(engine: Any, request: Request) -> list[Generation]:
        return [replace(one, finish_reason=reason) for one in await engine.generate(request)]

    class Noting:
        def __init__(self, finisher: Any) -> None:
            self._finisher = finisher

        def __getattr__(self, name: str) -> Any:
            return getattr(self._finisher, name)

        def finish(self, *args: Any, **more: Any) -> Any:
            found.add((more["reached_limit"], more["by_rule"]))
            return self._finisher.finish(*args, **more)

    work(make_spec(), end_so, Noting)
    assert found == {told}


def test_preemptions_are_counted_where_they_were(make_spec: Callable[..., WorkerSpec]) -> None:
    async def preempt(engine: Any, request: Request) -> list[Generation]:
        return [replace(one, num_preemptions=2) for one in await engine.generate(request)]

    report, _ = work(make_spec(**TWICE), preempt)
    assert report.counts.copied == 4
    assert report.counts.preemptions == 4 * 2


def test_sizes_are_of_what_was_computed(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(**TWICE)
    report = desk.work(desk.lease())
    assert [report.sizes[name].count for name in SIZES] == [4, 4]
