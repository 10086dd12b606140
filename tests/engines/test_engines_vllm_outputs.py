"""vLLM's outputs, read to one exact token, however the engine reports its steps."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.engines.engine import STOPPED, Generation, StopFn
from batchfim.engines.vllm.outputs import SampleSoFar, start_error
from batchfim.errors import TryAgain
from tests.engines.checks import after
from tests.engines.vllm_parts import request_output

pytest.importorskip("vllm")

from tests.engines.vllm_parts import CACHED_TOKENS, PREEMPTIONS, PROMPT


def read(steps: list[list[int]], check: StopFn | None) -> tuple[Any, int]:
    """The answer, and how many steps it took."""
    so_far = SampleSoFar(check, 1.0)
    for number, step in enumerate(steps, 1):
        answer = so_far.take_in(request_output(step, "length" if step is steps[-1] else None))
        if answer is not None:
            return answer, number
    raise AssertionError("no answer")


def in_steps(token_ids: list[int], sizes: list[int]) -> list[list[int]]:
    left: Iterator[int] = iter(token_ids)
    steps = [[i for _, i in zip(range(size), left, strict=False)] for size in sizes]
    return [step for step in [*steps, list(left)] if step]


def test_a_start_that_failed_in_the_core_says_why() -> None:
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    assert "RuntimeError: Engine core init" in str(start_error(error, None))
    assert "did not start: ValueError: no room;" in str(start_error(error, "ValueError: no room"))


def test_without_a_check_all_is_taken() -> None:
    generation, _ = read([[5, 6, 7]], None)
    assert (generation.token_ids, generation.finish_reason) == ([5, 6, 7], "length")
    assert generation.prompt_tokens == len(PROMPT)
    assert (generation.cached_tokens, generation.num_preemptions) == (CACHED_TOKENS, PREEMPTIONS)
    assert generation.timing.queue_s == 1.0
    assert generation.timing.tpot_s == 1.0


def test_a_check_ends_it_at_once() -> None:
    generation, num_steps = read([[5], [6], [7], [8]], after(2))
    assert (generation.token_ids, generation.finish_reason) == ([5, 6], STOPPED)
    assert num_steps == 2


def test_a_check_that_says_nothing_lets_it_end_by_itself() -> None:
    generation, num_steps = read([[5], [6], [7]], after(9))
    assert (generation.token_ids, generation.finish_reason) == ([5, 6, 7], "length")
    assert num_steps == 3


@settings(deadline=None)
@given(
    token_ids=st.lists(st.integers(1, 99), min_size=1, max_size=20),
    sizes=st.lists(st.integers(1, 5), max_size=20),
    count=st.integers(1, 25),
)
def test_the_size_of_steps_changes_nothing(
    token_ids: list[int], sizes: list[int], count: int
) -> None:
    generation, _ = read(in_steps(token_ids, sizes), after(count))
    assert generation.token_ids == token_ids[:count]
    assert generation.finish_reason == (STOPPED if count <= len(token_ids) else "length")


def test_logprobs_are_of_the_ids_that_are_taken() -> None:
    output = request_output([5, 6, 7], "length")
    flat = SimpleNamespace(start_indices=[0, 2, 4], logprobs=[-1.0, -9.0, -2.0, -9.0, -3.0, -9.0])
    output.outputs[0].logprobs = flat  # of each place, the sampled id's and another's
    answer = SampleSoFar(after(2), 1.0).take_in(output)
    assert isinstance(answer, Generation)
    assert answer.logprobs == [-1.0, -2.0]


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_sample_that_the_engine_gave_up_is_asked_for_again(reason: str) -> None:
    answer = SampleSoFar(None, 1.0).take_in(request_output([5], reason))
    assert isinstance(answer, TryAgain)
    assert reason in str(answer)
