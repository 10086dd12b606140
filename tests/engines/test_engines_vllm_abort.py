"""vLLM's own `generate`, without an engine behind it: what is ended early is aborted there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from batchfim.config import Engine as EngineConfig
from batchfim.config import Sampling
from batchfim.engines.engine import STOPPED, Generation, Request, StopCheck
from batchfim.engines.vllm import VllmEngine
from batchfim.errors import TryAgain

pytest.importorskip("vllm")

from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.output_processor import RequestOutputCollector

from tests.engines.vllm_parts import request_output

TOKENS = [5, 6, 7, 8, 9]


class Core:
    """Stands in for AsyncLLM's `self`: gives a token at a time till the request is aborted.

    Where one of its requests is to fail, the others never end.
    """

    log_requests = False

    def __init__(self, failing: str | None = None, finish_reason: str = "length") -> None:
        self.failing = failing
        self.finish_reason = finish_reason
        self.left = 0  # what ran when the engine answered
        self.running: dict[str, asyncio.Task[None]] = {}
        self.aborted: list[str] = []
        self.kinds: list[RequestOutputKind] = []

    def generate(self, *args: Any, **more: Any) -> Any:
        return AsyncLLM.generate(self, *args, **more)  # type: ignore[arg-type]

    async def add_request(
        self, request_id: str, prompt: Any, params: SamplingParams, **more: Any
    ) -> RequestOutputCollector:
        kind = params.output_kind
        self.kinds.append(kind)
        queue = RequestOutputCollector(kind, request_id=f"internal-{request_id}")
        self.running[queue.request_id] = asyncio.create_task(self._run(queue, kind))
        return queue

    async def abort(self, request_id: str, internal: bool) -> None:
        assert internal
        self.running.pop(request_id).cancel()
        self.aborted.append(request_id)

    async def _run(self, queue: RequestOutputCollector, kind: RequestOutputKind) -> None:
        if self.failing is not None:
            if queue.request_id == self.failing:
                queue.put(RuntimeError("tensor of size 3 expected"))
            await asyncio.Event().wait()
        each = [[token] for token in TOKENS] if kind is RequestOutputKind.DELTA else [TOKENS]
        for number, token_ids in enumerate(each, 1):
            await asyncio.sleep(0)
            last = number == len(each)
            queue.put(request_output(token_ids, self.finish_reason if last else None))
        del self.running[queue.request_id]


def complete(core: Core, new_check: Any, num_samples: int = 1) -> list[Generation]:
    sampling = Sampling(n=num_samples, temperature=1.0)
    engine = VllmEngine(
        Path("none"), EngineConfig(), sampling, stop_token_ids=(0,), max_model_len=None
    )
    engine._llm = core
    engine._params = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY)
    engine._step_params = SamplingParams(output_kind=RequestOutputKind.DELTA)

    async def ask() -> list[Generation]:
        try:
            return await engine.generate(Request("r", [1, 2], 3, new_check))
        finally:
            core.left = len(core.running)  # the loop's end would end them too

    return asyncio.run(ask())


def test_a_sample_that_ends_early_is_aborted_and_nothing_is_left() -> None:
    core = Core()

    def new_check() -> StopCheck:
        return lambda token_id: token_id == 7

    generations = complete(core, new_check, num_samples=3)
    assert [one.token_ids for one in generations] == [[5, 6, 7]] * 3
    assert {one.finish_reason for one in generations} == {STOPPED}
    assert sorted(core.aborted) == [f"internal-r-{i}" for i in range(3)]
    assert core.running == {}


def test_a_sample_that_fails_ends_the_others_and_tells_why() -> None:
    core = Core(failing="internal-r-1")
    with pytest.raises(TryAgain, match=r"^RuntimeError: tensor of size 3 expected$"):
        complete(core, None, num_samples=3)
    assert core.left == 0
    assert sorted(core.aborted) == [f"internal-r-{i}" for i in range(3)]


def test_an_error_of_ours_is_told_as_it_is() -> None:
    with pytest.raises(TryAgain, match=r"^vLLM ended the request with 'abort'$"):
        complete(Core(finish_reason="abort"), None)


@pytest.mark.parametrize("checked", [True, False])
def test_a_sample_that_ends_by_itself_is_not(checked: bool) -> None:
    core = Core()
    (one,) = complete(core, (lambda: lambda token_id: False) if checked else None)
    assert (one.token_ids, one.finish_reason) == (TOKENS, "length")
    assert (core.aborted, core.running) == ([], {})
    expected = RequestOutputKind.DELTA if checked else RequestOutputKind.FINAL_ONLY
    assert core.kinds == [expected]
