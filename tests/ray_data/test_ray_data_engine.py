"""The engine in a Ray Data step: kept full, ended with the step, and what its faults become."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pyarrow as pa
import pytest
import ray.data
from ray.exceptions import RayError

from batchfim.errors import EngineDead, ModelError
from batchfim.ray_data import InfillStep, infill
from tests.processes import CORE, named

LONG, SHORT = "x = 1\n" * 200, "y = 2\n"


def settings(**simulated: Any) -> dict[str, Any]:
    engine = {"backend": "simulated", "simulated": simulated}
    return {"model": {"path": "demo"}, "engine": engine, "resources": {"num_cpus": 0}}


def rows(*prefixes: str) -> pa.Table:
    return pa.table({"prefix": prefixes, "suffix": ["\n"] * len(prefixes)})


def test_a_slow_batch_holds_up_no_other() -> None:
    step = InfillStep(settings(prefill_tokens_per_s=400, decode_tokens_per_s=1e6))
    ended = []

    async def fill(prefix: str) -> None:
        async for batch in step(rows(prefix)):
            assert batch["status"].to_pylist() == ["ok"]
            ended.append(prefix)

    async def both() -> None:
        await asyncio.gather(fill(LONG), fill(SHORT))

    asyncio.run(both())
    assert ended == [SHORT, LONG]


def test_an_engine_that_hangs_ends_its_batch() -> None:
    step = InfillStep(settings(hang_if_contains=LONG) | {"schedule": {"stall_timeout_s": 1}})

    async def fill() -> None:
        with pytest.raises(EngineDead, match="the engine made no progress for"):
            await anext(step(rows(LONG)))

    asyncio.run(fill())


def test_a_step_that_is_dropped_ends_its_engine_and_its_thread() -> None:
    before = set(threading.enumerate())
    step = InfillStep(settings())
    (thread,) = set(threading.enumerate()) - before
    del step
    thread.join(30)
    assert not thread.is_alive()


def test_a_step_that_is_dropped_while_it_fills_ends_its_engine_and_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("batchfim.ray_data._STOP_S", 600)  # what a loop would wait for itself
    before = set(threading.enumerate())
    step = InfillStep(settings(prefill_tokens_per_s=1))
    (thread,) = set(threading.enumerate()) - before

    async def leave(filling: AsyncIterator[pa.Table]) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(filling), 0.5)

    filling = step(rows(LONG))
    del step
    asyncio.run(leave(filling))
    del filling
    thread.join(30)
    assert not thread.is_alive()


def test_a_step_that_cannot_open_its_model_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with pytest.raises(ModelError):
        InfillStep(settings() | {"model": {"path": "no/such/model"}})
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"fail_start": True}, "the simulated engine was told not to start"),
        ({"die_if_contains": SHORT}, "the simulated engine died on demand"),
    ],
)
def test_an_engine_that_fails_ends_the_pipeline_with_its_reason(
    fault: dict[str, Any], told: str
) -> None:
    pipeline = infill(ray.data.from_arrow(rows(SHORT)), settings(**fault))
    with pytest.raises(RayError, match=told):
        pipeline.take_all()


@pytest.mark.usefixtures("local_ray")
def test_a_record_the_engine_fails_on_comes_out_as_failed() -> None:
    pipeline = infill(ray.data.from_arrow(rows(SHORT, LONG)), settings(fail_if_contains=SHORT))
    assert [row["status"] for row in pipeline.take_all()] == ["failed", "ok"]


@pytest.mark.usefixtures("local_ray")
def test_vllm_fills_holes_and_ends_with_its_pipeline() -> None:
    vllm = {"max_model_len": 256, "args": {"enforce_eager": True}}
    config = {"model": {"path": "demo"}, "engine": vllm, "sampling": {"max_tokens": 8}}
    pipeline = infill(ray.data.from_arrow(rows("def add(a, b):\n    return a ", LONG)), config)
    filled = pipeline.take_all()
    assert [row["status"] for row in filled] == ["ok", "ok"]
    assert all(row["completion_tokens"] > 0 for row in filled)
    assert filled[1]["truncated_prefix_tokens"] > 0
    end_s = time.monotonic() + 60
    while (left := engines()) and time.monotonic() < end_s:
        time.sleep(0.2)
    assert left == []


def engines() -> list[int]:
    """Processes of vLLM's engines below this one."""
    below = psutil.Process().children(recursive=True)
    return [process.pid for process in named(CORE, below)]
