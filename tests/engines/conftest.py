"""Transformers engines over tiny models, driven without a worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchfim.config import Sampling
from batchfim.engines.engine import Generation, Request
from batchfim.engines.transformers.args import read_args
from batchfim.engines.transformers.engine import Task, TransformersEngine
from tests.tiny_models import CONTEXT, NUM_MASKS, TINY_MODELS

OpenEngine = Callable[..., TransformersEngine]


@pytest.fixture
def open_engine(tiny_model: Callable[[str], Path]) -> OpenEngine:
    """An engine over a tiny model, not started; stops and arguments may be given."""

    def build(
        name: str,
        *,
        stops: tuple[int, ...] | None = None,
        args: dict[str, Any] | None = None,
        **sampling: Any,
    ) -> TransformersEngine:
        tiny = TINY_MODELS[name]
        mask = "<mask>" in tiny.layout
        task = Task(
            kind=tiny.task,
            stop_token_ids=tiny.stop_ids if stops is None else stops,
            mask_id=tiny.controls.index("<mask>") if mask else None,
        )
        options = Sampling(**{"max_tokens": NUM_MASKS} | sampling)
        return TransformersEngine(
            tiny_model(name), task, read_args(args or {}), options, max_model_len=CONTEXT
        )

    return build


def complete(engine: TransformersEngine, requests: list[Request]) -> list[Any]:
    """Ask everything at once; per request its generations, or the error it met."""

    async def scenario() -> list[Any]:
        await engine.start()
        try:
            calls = (engine.generate(request) for request in requests)
            return list(await asyncio.gather(*calls, return_exceptions=True))
        finally:
            await engine.stop()

    return asyncio.run(asyncio.wait_for(scenario(), 120))


def ids(outcome: Any) -> list[list[int]]:
    """Tokens of each sample; an error is raised."""
    if isinstance(outcome, BaseException):
        raise outcome
    return [generation.token_ids for generation in outcome if isinstance(generation, Generation)]


def prompts(name: str, lengths: tuple[int, ...] = (3, 40, 11, 11, 25, 7)) -> list[list[int]]:
    """Prompts of a tiny model, of different lengths, their text in different parts."""
    tiny, chance = TINY_MODELS[name], random.Random(1)
    first = len(tiny.controls)

    def text(num: int) -> list[int]:
        return [chance.randrange(first, first + 256) for _ in range(num)]

    return [
        tiny.prompt(text(length * (place + 1) // 7), text(length - length * (place + 1) // 7))
        for place, length in enumerate(lengths)
    ]


def requests(name: str, **more: Any) -> list[Request]:
    """One request for each of `prompts`, with seeds of its own."""
    return [Request(str(i), prompt, 100 * i) for i, prompt in enumerate(prompts(name, **more))]
