"""A check ends a sample at one exact token, however the engine reports its steps."""

from __future__ import annotations

import asyncio

import pytest

from batchfim.config import Sampling
from batchfim.config.engine import Simulated
from batchfim.engines.engine import STOPPED, Request, StopFn, take
from batchfim.engines.simulated import SimulatedEngine
from tests.engines.checks import after

STOP_ID = 0


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

    def new_check() -> StopFn:
        made.append(len(made))
        return after(2)

    cut = asyncio.run(engine.generate(Request("r", prompt, 7, new_check)))
    assert made == list(range(num_samples))
    for one, all_of_it in zip(cut, whole, strict=True):
        assert one.token_ids == all_of_it.token_ids[:2]
        assert one.finish_reason == STOPPED
        assert all_of_it.finish_reason == "stop"
