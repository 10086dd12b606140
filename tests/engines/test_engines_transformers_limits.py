"""Lengths, clocks and seeds of the Transformers engine, and what it refuses."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchfim.engines.engine import STOPPED, Request, StopFn
from batchfim.engines.transformers import decoding
from batchfim.errors import RequestRefused
from tests.engines.conftest import OpenEngine, complete, ids, prompts, requests
from tests.tiny_models import CONTEXT, NUM_MASKS, TINY_MODELS

SAMPLED = {"temperature": 1.0}


def test_it_says_what_it_is(open_engine: OpenEngine) -> None:
    import transformers

    engine = open_engine("llama")
    info = asyncio.run(engine.start())
    assert (info.name, info.version) == ("transformers", transformers.__version__)
    assert info.device in ("cpu", "cuda")
    asyncio.run(engine.stop())
    asyncio.run(engine.stop())  # harmless


def test_clocks_and_counts(open_engine: OpenEngine) -> None:
    asked = requests("llama")
    outcomes = complete(open_engine("llama", stops=(), args={"max_batch_tokens": 1}), asked)
    for request, (generation,) in zip(asked, outcomes, strict=True):
        timing = generation.timing
        assert 0 <= timing.queue_s <= timing.ttft_s <= timing.latency_s
        assert timing.tpot_s == pytest.approx((timing.latency_s - timing.ttft_s) / 11)
        assert generation.prompt_tokens == len(request.token_ids)
        assert generation.cached_tokens == 0
    # One batch after the other: the second's queue holds the first's work.
    assert outcomes[1][0].timing.queue_s >= outcomes[0][0].timing.ttft_s


@pytest.mark.parametrize("name", TINY_MODELS)
def test_every_token_of_a_batch_is_a_step_and_so_are_the_prompts(
    name: str, open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, steps, intact = open_engine(name, stops=()), [0], decoding.choose

    def choose(*arguments: Any) -> list[int]:
        steps.append(engine.num_steps)
        return intact(*arguments)

    monkeypatch.setattr(decoding, "choose", choose)
    (outcome,) = complete(engine, requests(name)[:1])
    assert len(steps) > len(ids(outcome)[0])
    assert all(later > earlier for earlier, later in itertools.pairwise(steps))


def test_one_token_has_no_time_of_later_ones(open_engine: OpenEngine) -> None:
    ((generation,),) = complete(open_engine("llama", max_tokens=1, stops=()), requests("llama")[:1])
    assert len(generation.token_ids) == 1
    assert generation.timing.tpot_s is None
    assert generation.finish_reason == "length"


def test_the_context_ends_a_middle_and_its_neighbour_goes_on(open_engine: OpenEngine) -> None:
    """GPT-BigCode has learned positions: one past the last would be an error for the batch."""
    long, short = prompts("gpt_bigcode", (CONTEXT - 3 - 5, CONTEXT - 3 - 20))
    engine = open_engine("gpt_bigcode", stops=(), args={"max_padding": 0.9})
    outcomes = complete(engine, [Request("a", long, 0), Request("b", short, 0)])
    assert [len(one.token_ids) for (one,) in outcomes] == [5, 12]
    assert [one.finish_reason for (one,) in outcomes] == ["length", "length"]


@pytest.mark.parametrize(
    ("token_ids", "reason"),
    [
        ([], "the prompt is empty"),
        ([5] * CONTEXT, f"the prompt has {CONTEXT} tokens, but the model's context has {CONTEXT}"),
        ([5, 260], "token id 260 is not in the model's vocabulary of 260"),
    ],
)
def test_a_prompt_that_can_never_work_harms_no_other(
    token_ids: list[int], reason: str, open_engine: OpenEngine
) -> None:
    good = requests("llama")[:2]
    engine = open_engine("llama")
    first, refused, second = complete(engine, [good[0], Request("bad", token_ids, 0), good[1]])
    assert isinstance(refused, RequestRefused)
    assert str(refused) == reason
    assert [ids(first), ids(second)] == [ids(one) for one in complete(open_engine("llama"), good)]


def test_a_masked_model_refuses_what_has_no_mask(open_engine: OpenEngine) -> None:
    good = requests("codebert")[0]
    refused, served = complete(open_engine("codebert"), [Request("bad", [20, 30], 0), good])
    assert str(refused) == "the prompt has no mask to fill"
    assert len(ids(served)[0]) == NUM_MASKS


@pytest.mark.parametrize("name", ["llama", "plbart", "codebert"])
def test_a_check_ends_its_sample_only(name: str, open_engine: OpenEngine) -> None:
    """It is told every id once, in order, and starts afresh for each sample."""
    told: dict[int, list[list[int]]] = {}

    def checked(place: int, request: Request) -> Request:
        def new_check() -> StopFn:
            ids_told: list[int] = []
            told.setdefault(place, []).append(ids_told)
            return lambda token_id: ids_told.append(token_id) or len(ids_told) == 3 + place

        return Request(request.request_id, request.token_ids, request.seed, new_check)

    asked, sampling = requests(name), {"stops": (), "args": {"max_padding": 0.9}, "n": 2}
    free = complete(open_engine(name, **sampling, **SAMPLED), asked)
    some = [checked(place, one) if place < 3 else one for place, one in enumerate(asked)]
    ended = complete(open_engine(name, **sampling, **SAMPLED), some)
    for place in range(3):
        assert ids(ended[place]) == told[place] == [one[: 3 + place] for one in ids(free[place])]
        assert {one.finish_reason for one in ended[place]} == {STOPPED}
    assert [ids(one) for one in ended[3:]] == [ids(one) for one in free[3:]]


def test_those_who_ask_again_at_once_are_served(open_engine: OpenEngine) -> None:
    engine, asked = open_engine("llama"), requests("llama")

    async def chain(request: Request) -> list[list[list[int]]]:
        return [ids(await engine.generate(request)) for _ in range(4)]

    async def scenario() -> list[list[list[list[int]]]]:
        await engine.start()
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*map(chain, asked))
        await engine.stop()
        return outcomes

    for answers in asyncio.run(scenario()):
        assert answers == [answers[0]] * 4


def test_seeds_decide_samples(open_engine: OpenEngine) -> None:
    (prompt,) = prompts("llama", (20,))

    def samples(seed: int, num: int = 1, **sampling: Any) -> list[list[int]]:
        engine = open_engine("llama", n=num, **SAMPLED | sampling)
        (outcome,) = complete(engine, [Request("a", prompt, seed)])
        return ids(outcome)

    three = samples(7, 3)
    assert three == samples(7, 3)
    assert three == [samples(seed)[0] for seed in (7, 8, 9)]  # sample i draws with seed + i
    assert len(set(map(tuple, three))) == 3
    assert samples(7, top_k=1) == samples(99, top_k=1) == samples(0, temperature=0)


def test_importing_batchfim_imports_no_torch() -> None:
    import subprocess

    code = "import sys, batchfim.api, batchfim.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_stops_at_the_exit_of_its_process(tiny_model: Callable[[str], Path]) -> None:
    """As where a Ray Data step lasts until there: no new thread can be had by then."""
    import subprocess

    code = f"""
import atexit, sys
from pathlib import Path
from batchfim.config import Sampling
from batchfim.engines.transformers.engine import Task, TransformersEngine
from batchfim.engines.transformers.args import read_args
from batchfim.workers.loop_thread import LoopThread
engine = TransformersEngine(
    Path(sys.argv[1]), Task("causal", ()), read_args({{}}), Sampling(), max_model_len={CONTEXT}
)
thread = LoopThread("engine")
thread.run(engine.start()).result()
atexit.register(thread.end, engine.stop(), 60)
"""
    command = [sys.executable, "-c", code, str(tiny_model("llama"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
