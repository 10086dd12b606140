"""A stand-in for vLLM's `LLMEngine`, stepped by the real `Stepper`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from batchfim.config import Engine as EngineConfig
from batchfim.config import Sampling
from batchfim.engines.engine import Generation, Request
from batchfim.engines.vllm.engine import VllmEngine
from batchfim.engines.vllm.steps import Stepper

pytest.importorskip("vllm")

from vllm.exceptions import VLLMValidationError
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.exceptions import EngineDeadError

from tests.engines.vllm_parts import request_output

TOKENS = [5, 6, 7, 8, 9]
REFUSED = [404]  # a prompt
ALIVE_S = 30.0  # a test's patience
WHY = "vLLM's core process ended with ValueError: of the core"

Answers = list[list[Generation] | BaseException]


class Llm:
    """Stands in for LLMEngine: a token of each request a step, when the test lets it go on.

    As vLLM's, `step` waits for the core alone, whose outputs come by a queue.
    """

    def __init__(self, finish_reason: str = "length") -> None:
        self.finish_reason = finish_reason
        self.running: dict[str, tuple[SamplingParams, list[int]]] = {}
        self.aborted: list[str] = []
        self.kinds: list[RequestOutputKind] = []
        self.threads: set[str] = set()
        self.shut_down = 0
        self.resources = SimpleNamespace(engine_dead=False)
        self.outputs_queue: Queue[Exception | None] = Queue()
        self.engine_core = SimpleNamespace(
            resources=self.resources, outputs_queue=self.outputs_queue, shutdown=self._shut_down
        )
        self.renderer = SimpleNamespace(shutdown=self._shut_down_renderer)

    def go_on(self, num_steps: int = len(TOKENS)) -> None:
        for _ in range(num_steps):
            self.outputs_queue.put(None)

    def add_request(
        self, request_id: str, prompt: Any, params: SamplingParams, lora_request: Any
    ) -> None:
        self.threads.add(threading.current_thread().name)
        if self.resources.engine_dead:
            raise EngineDeadError
        if prompt["prompt_token_ids"] == REFUSED:
            raise VLLMValidationError("the prompt is too long")
        self.kinds.append(params.output_kind)
        self.running[request_id] = params, []

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            del self.running[request_id]
        self.aborted += request_ids

    def step(self) -> list[RequestOutput]:
        self.threads.add(threading.current_thread().name)
        error = self.outputs_queue.get()
        if error is not None:
            raise error
        return [output for request_id in list(self.running) for output in self._told(request_id)]

    def _told(self, request_id: str) -> list[RequestOutput]:
        params, token_ids = self.running[request_id]
        token_ids.append(TOKENS[len(token_ids)])
        reason = self.finish_reason if len(token_ids) == len(TOKENS) else None
        if reason:
            del self.running[request_id]
        whole = params.output_kind is RequestOutputKind.FINAL_ONLY
        if whole and not reason:
            return []
        output = request_output(token_ids if whole else token_ids[-1:], reason)
        output.request_id = request_id
        return [output]

    def _shut_down_renderer(self) -> None:
        self.shut_down += 1

    def _shut_down(self, timeout: float | None) -> None:
        assert timeout == 0.0
        self.shut_down += 1
        self.threads.add(threading.current_thread().name)


def engine_on(llm: Llm, num_samples: int = 1) -> VllmEngine:
    sampling = Sampling(n=num_samples, temperature=1.0)
    engine = VllmEngine(
        Path("none"), EngineConfig(), sampling, stop_token_ids=(0,), max_model_len=None
    )
    engine._stepper = Stepper(llm, stop_s=0.0, why_ended=lambda: WHY)
    engine._params = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY)
    engine._step_params = SamplingParams(output_kind=RequestOutputKind.DELTA)
    return engine


def run(
    llm: Llm, ask: Callable[[VllmEngine], Coroutine[Any, Any, Answers]], **more: Any
) -> Answers:
    """What is asked of an engine, which is stopped then."""

    async def asked() -> Answers:
        engine = engine_on(llm, **more)
        assert engine._stepper
        try:
            return await asyncio.wait_for(ask(engine), ALIVE_S)
        finally:
            await asyncio.wait_for(engine._stepper.stop(), ALIVE_S)

    return asyncio.run(asked())


def complete(
    llm: Llm, new_check: Any = None, prompts: Sequence[list[int]] = ([1, 2],), **more: Any
) -> Answers:
    requests = [Request(f"r{i}", prompt, 3, new_check) for i, prompt in enumerate(prompts)]

    async def ask(engine: VllmEngine) -> Answers:
        answers = map(engine.generate, requests)
        return list(await asyncio.gather(*answers, return_exceptions=True))

    return run(llm, ask, **more)


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def two_at_work(engine: VllmEngine, llm: Llm) -> list[asyncio.Task[list[Generation]]]:
    requests = (Request(name, [1], 3) for name in ("first", "second"))
    tasks = [asyncio.create_task(engine.generate(request)) for request in requests]
    await until(lambda: len(llm.running) == 2)
    return tasks
