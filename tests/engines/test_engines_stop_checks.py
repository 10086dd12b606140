"""A check ends a sample at one exact token, however the engine reports its steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.config import Sampling, Simulated
from batchfim.engines.engine import STOPPED, Generation, Request, StopCheck, take
from batchfim.engines.simulated import SimulatedEngine
from batchfim.engines.vllm_outputs import read_outputs

STOP_ID = 0
STATS = SimpleNamespace(scheduled_ts=2.0, first_token_ts=3.0, last_token_ts=5.0)


def after(count: int) -> StopCheck:
    """Ends a sample with its `count`-th token."""
    left = iter(range(count - 1, -1, -1))
    return lambda token_id: next(left) == 0


def output(token_ids: list[int], finish_reason: str | None) -> Any:
    """What `read_outputs` reads of vLLM's RequestOutput."""
    completion = SimpleNamespace(token_ids=token_ids, finish_reason=finish_reason, logprobs=None)
    return SimpleNamespace(
        outputs=[completion], metrics=STATS, prompt_token_ids=[1, 2, 3], num_cached_tokens=2
    )


class Stream:
    """vLLM's generator of outputs: aborts its request when it is closed before its end."""

    def __init__(self, steps: list[list[int]]) -> None:
        self.steps = steps
        self.given = 0
        self.aborted = False

    async def outputs(self) -> AsyncIterator[Any]:
        try:
            for step in self.steps:
                self.given += 1
                yield output(step, "length" if step is self.steps[-1] else None)
        except GeneratorExit:
            self.aborted = True
            raise


def read(stream: Stream, check: StopCheck | None) -> Generation:
    async def run() -> Generation:
        async with aclosing(stream.outputs()) as outputs:
            return await read_outputs(outputs, check, 1.0)

    return asyncio.run(run())


def in_steps(token_ids: list[int], sizes: list[int]) -> list[list[int]]:
    left: Iterator[int] = iter(token_ids)
    steps = [[i for _, i in zip(range(size), left, strict=False)] for size in sizes]
    return [step for step in [*steps, list(left)] if step]


def test_without_a_check_all_is_taken() -> None:
    stream = Stream([[5, 6, 7]])
    generation = read(stream, None)
    assert (generation.token_ids, generation.finish_reason) == ([5, 6, 7], "length")
    assert (generation.prompt_tokens, generation.cached_tokens) == (3, 2)
    assert not stream.aborted
    assert generation.timing.queue_s == 1.0
    assert generation.timing.tpot_s == 1.0


def test_a_check_aborts_what_is_left() -> None:
    stream = Stream([[5], [6], [7], [8]])
    generation = read(stream, after(2))
    assert (generation.token_ids, generation.finish_reason) == ([5, 6], STOPPED)
    assert (stream.aborted, stream.given) == (True, 2)


def test_a_check_that_says_nothing_lets_it_end_by_itself() -> None:
    stream = Stream([[5], [6], [7]])
    generation = read(stream, after(9))
    assert (generation.token_ids, generation.finish_reason) == ([5, 6, 7], "length")
    assert not stream.aborted


@settings(deadline=None)
@given(
    token_ids=st.lists(st.integers(1, 99), min_size=1, max_size=20),
    sizes=st.lists(st.integers(1, 5), max_size=20),
    count=st.integers(1, 25),
)
def test_the_size_of_steps_changes_nothing(
    token_ids: list[int], sizes: list[int], count: int
) -> None:
    generation = read(Stream(in_steps(token_ids, sizes)), after(count))
    assert generation.token_ids == token_ids[:count]
    assert generation.finish_reason == (STOPPED if count <= len(token_ids) else "length")


def test_take_ends_with_the_token_that_was_the_last() -> None:
    assert take([4, 5, 6], None) == ([4, 5, 6], False)
    assert take([4, 5, 6], after(2)) == ([4, 5], True)
    assert take([4, 5, 6], after(3)) == ([4, 5, 6], True)
    assert take([], after(1)) == ([], False)


@pytest.mark.parametrize("num_samples", [1, 4])
def test_the_simulated_engine_gives_each_sample_its_own_check(num_samples: int) -> None:
    sampling = Sampling(n=num_samples, temperature=1.0, max_tokens=30)
    engine = SimulatedEngine(
        Simulated(), sampling, stop_token_ids=(STOP_ID,), decode=lambda ids: ""
    )
    prompt = list(range(1, 60))
    whole = asyncio.run(engine.generate(Request("r", prompt, 7)))
    made: list[int] = []

    def new_check() -> StopCheck:
        made.append(len(made))
        return after(2)

    cut = asyncio.run(engine.generate(Request("r", prompt, 7, new_check)))
    assert made == list(range(num_samples))
    for one, all_of_it in zip(cut, whole, strict=True):
        assert one.token_ids == all_of_it.token_ids[:2]
        assert one.finish_reason == STOPPED
        assert all_of_it.finish_reason == "stop"
