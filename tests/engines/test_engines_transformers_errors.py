"""What goes wrong at start, in a batch and in the device, and who hears of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from batchfim.config import Sampling
from batchfim.engines.engine import Request
from batchfim.engines.transformers import decoding, model_batches
from batchfim.engines.transformers.args import read_args
from batchfim.engines.transformers.engine import Task, TransformersEngine
from batchfim.engines.transformers.errors import start_error
from batchfim.errors import EngineDead, EngineStartError, RequestRefused, TryAgain
from tests.engines.conftest import OpenEngine, complete, ids, requests
from tests.tiny_models import CONTEXT

BAD = 2  # the request that fails, and with it every batch it is in


@pytest.fixture
def break_on_bad(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception, int], list[int]]:
    """Let batches with the bad prompt, and those above a size, raise; note every batch's size."""

    def install(error: Exception, too_many: int = 1 << 30) -> list[int]:
        sizes: list[int] = []
        intact = model_batches.open_batch
        bad = requests("llama")[BAD].token_ids

        def open_batch(task: str, model: Any, prompts: Any, *more: Any) -> Any:
            sizes.append(len(prompts))
            if bad in prompts or len(prompts) > too_many:
                raise error
            return intact(task, model, prompts, *more)

        monkeypatch.setattr(model_batches, "open_batch", open_batch)
        return sizes

    return install


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("shape mismatch"), TryAgain),
        (torch.OutOfMemoryError("CUDA out of memory"), TryAgain),
        (MemoryError(), TryAgain),
        (IndexError("index out of range in self"), RequestRefused),
    ],
)
def test_one_bad_request_does_not_harm_its_batch(
    error: Exception,
    expected: type[Exception],
    break_on_bad: Callable[..., list[int]],
    open_engine: OpenEngine,
) -> None:
    asked = requests("llama")
    before = complete(open_engine("llama", args={"max_padding": 0.9}), asked)
    break_on_bad(error)
    after = complete(open_engine("llama", args={"max_padding": 0.9}), asked)
    assert type(after[BAD]) is expected
    assert type(error).__name__ in str(after[BAD])
    for place in {*range(len(asked))} - {BAD}:
        assert ids(after[place]) == ids(before[place])


def test_out_of_memory_makes_later_batches_smaller(
    break_on_bad: Callable[..., list[int]], open_engine: OpenEngine
) -> None:
    sizes = break_on_bad(torch.OutOfMemoryError("out of memory"), 3)
    asked = [one for i, one in enumerate(requests("llama")) if i != BAD]
    engine = open_engine("llama", args={"max_padding": 0.9})

    async def twice() -> None:
        await engine.start()
        for _ in range(2):
            await asyncio.gather(*(engine.generate(one) for one in asked))
        await engine.stop()

    asyncio.run(asyncio.wait_for(twice(), 120))
    assert sizes[0] == 5  # too many: halves
    assert sizes[1:3] == [2, 3]
    assert max(sizes[3:]) <= 3  # nothing so large is tried again


def test_the_halves_of_a_batch_have_its_memory(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: weakref.WeakSet[Any] = weakref.WeakSet()
    at_once: list[int] = []
    intact_open, intact_decode = model_batches.open_batch, decoding.decode

    def open_batch(*arguments: Any) -> Any:
        batch = intact_open(*arguments)
        held.add(batch)
        at_once.append(len(held))
        return batch

    def decode(batch: Any, rows: Any, *more: Any) -> Any:
        if len(rows) > 3:
            batch.first()  # from here on it has a cache
            raise torch.OutOfMemoryError("out of memory")
        return intact_decode(batch, rows, *more)

    monkeypatch.setattr(model_batches, "open_batch", open_batch)
    monkeypatch.setattr(decoding, "decode", decode)
    outcomes = complete(open_engine("llama", args={"max_padding": 0.9}), requests("llama"))
    assert [len(ids(one)) for one in outcomes] == [1] * 6
    assert at_once == [1, 1, 1]


def test_a_dead_device_is_a_dead_engine_for_all(
    break_on_bad: Callable[..., list[int]], open_engine: OpenEngine
) -> None:
    sizes = break_on_bad(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    engine = open_engine("llama", args={"max_batch_tokens": 1})
    asked = requests("llama")
    outcomes = complete(engine, asked)
    assert [type(one) for one in outcomes[BAD:]] == [EngineDead] * (len(asked) - BAD)
    assert [len(ids(one)) for one in outcomes[:BAD]] == [1] * BAD
    assert len(sizes) == BAD + 1  # the device is not asked again
    assert "device-side assert" in str(outcomes[-1])


def test_stop_ends_what_is_in_hand(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, intact = threading.Event(), decoding.choose

    def slowly(*arguments: Any) -> list[int]:
        begun.set()
        time.sleep(0.1)
        return intact(*arguments)

    monkeypatch.setattr(decoding, "choose", slowly)
    engine, asked = open_engine("llama", stops=(), max_tokens=140), requests("llama")

    async def scenario() -> list[Any]:
        await engine.start()
        calls = [asyncio.create_task(engine.generate(one)) for one in asked]
        await asyncio.to_thread(begun.wait)
        await engine.stop()
        late = await asyncio.gather(engine.generate(asked[0]), return_exceptions=True)
        return late + await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert [type(one) for one in outcomes] == [EngineDead] * (len(asked) + 1)


def test_stop_is_harmless_when_all_tasks_were_cancelled(open_engine: OpenEngine) -> None:
    """As the local pool ends a worker."""
    engine = open_engine("llama", stops=(), max_tokens=140)

    async def scenario() -> list[Any]:
        await engine.start()
        calls = [asyncio.create_task(engine.generate(one)) for one in requests("llama")]
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), *calls}:
            task.cancel()
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            await engine.stop()
        return list(outcomes)

    outcomes = asyncio.run(scenario())
    assert [type(one) for one in outcomes] == [EngineDead] * 6


def test_a_call_that_is_cancelled_harms_no_other(open_engine: OpenEngine) -> None:
    engine = open_engine("llama")
    asked = requests("llama")

    async def scenario() -> list[Any]:
        await engine.start()
        calls = [asyncio.create_task(engine.generate(one)) for one in asked]
        await asyncio.sleep(0)
        calls[0].cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await engine.stop()
        return list(outcomes)

    outcomes = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [len(ids(one)) for one in outcomes[1:]] == [1] * (len(asked) - 1)


def start(folder: Path, kind: str = "causal", max_model_len: int | None = None) -> None:
    task, sampling = Task(kind, (0,)), Sampling()
    engine = TransformersEngine(folder, task, read_args({}), sampling, max_model_len=max_model_len)
    try:
        asyncio.run(engine.start())
    finally:
        asyncio.run(engine.stop())


@pytest.fixture
def copied(tiny_model: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model("llama"), tmp_path / "llama"))


def test_a_folder_without_weights_does_not_start(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(EngineStartError, match=r"did not start: OSError: .*model\.safetensors"):
        start(copied)


def test_damaged_weights_do_not_start(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EngineStartError, match="check that the model is complete"):
        start(copied)


def test_weights_of_another_model_do_not_start(copied: Path) -> None:
    """Transformers itself would fill what is missing with random numbers and go on."""
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(EngineStartError, match=r"lack 9 of the model's tensors .*model\.layers\.2"):
        start(copied)


def test_more_context_than_the_model_has_positions_does_not_start(copied: Path) -> None:
    with pytest.raises(
        EngineStartError, match=r"max_model_len 161: the model has only 160 positions"
    ):
        start(copied, max_model_len=161)


def test_positions_before_robertas_first_are_none(tiny_model: Callable[[str], Path]) -> None:
    start(tiny_model("codebert"), "masked", CONTEXT)
    with pytest.raises(
        EngineStartError, match=r"max_model_len 162: the model has only 160 positions"
    ):
        start(tiny_model("codebert"), "masked", CONTEXT + 2)


def test_a_model_of_another_kind_does_not_start(copied: Path) -> None:
    with pytest.raises(EngineStartError, match=r"did not start: ValueError: .*LlamaConfig"):
        start(copied, "seq2seq")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), r"engine\.args\.dtype=bfloat16"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), r"engine\.args\.dtype"),
        (ValueError("Please pass the argument `trust_remote_code=True`"), r"model\.trust_remote"),
    ],
)
def test_a_failed_start_says_what_to_change(error: Exception, advice: str) -> None:
    with pytest.raises(EngineStartError, match=advice):
        raise start_error(error)


def test_a_request_before_a_batch_ends_waits_for_the_next(open_engine: OpenEngine) -> None:
    engine = open_engine("llama", stops=(), max_tokens=40)
    first, second = requests("llama")[:2]

    async def scenario() -> list[Any]:
        await engine.start()
        early = asyncio.create_task(engine.generate(first))
        await asyncio.sleep(0.03)
        late = await engine.generate(Request("late", second.token_ids, 0))
        outcome = [await early, late]
        await engine.stop()
        return outcome

    outcomes = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert [len(one.token_ids) for (one,) in outcomes] == [40, 40]
