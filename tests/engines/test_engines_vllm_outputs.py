"""vLLM's outputs, read to one exact token, however the engine reports its steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.engines.engine import STOPPED, Generation, StopCheck
from batchfim.engines.vllm_outputs import read_outputs
from batchfim.errors import TryAgain
from tests.engines.checks import after
from tests.engines.vllm_parts import request_output

pytest.importorskip("vllm")

from tests.engines.vllm_parts import CACHED_TOKENS, PREEMPTIONS, PROMPT


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
                yield request_output(step, "length" if step is self.steps[-1] else None)
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
    assert generation.prompt_tokens == len(PROMPT)
    assert (generation.cached_tokens, generation.num_preemptions) == (CACHED_TOKENS, PREEMPTIONS)
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


def read_one(output: Any, check: StopCheck | None = None) -> Any:
    async def outputs() -> AsyncIterator[Any]:
        yield output

    return asyncio.run(read_outputs(outputs(), check, 1.0))


def test_logprobs_are_of_the_ids_that_are_taken() -> None:
    output = request_output([5, 6, 7], "length")
    flat = SimpleNamespace(start_indices=[0, 2, 4], logprobs=[-1.0, -9.0, -2.0, -9.0, -3.0, -9.0])
    output.outputs[0].logprobs = flat  # of each place, the sampled id's and another's
    assert read_one(output, after(2)).logprobs == [-1.0, -2.0]


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_sample_that_the_engine_gave_up_is_asked_for_again(reason: str) -> None:
    with pytest.raises(TryAgain, match=reason):
        read_one(request_output([5], reason))
