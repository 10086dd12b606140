"""The real vLLM engine behind the Protocol, started once; its last test kills it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import psutil
import pytest

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.engines.build import build_engine
from batchfim.engines.cpu import cores_here, dtype_argument
from batchfim.engines.engine import STOPPED, Engine, Generation, Request
from batchfim.errors import EngineDead, RequestRefused
from batchfim.formats.finishing import Finisher
from batchfim.formats.rules import StopRule
from batchfim.models.files import demo_model_path
from batchfim.models.infiller import Infiller, open_infiller
from batchfim.records import Hole
from tests.processes import engine_cores, named

Result = TypeVar("Result")
MAX_MODEL_LEN = 256
MAX_TOKENS = 48
STARTS = [
    "class Stack:\n    def __init__(self):\n",
    "import os\n\n\ndef main():\n",
    "def read(path):\n    with open(path) as file:\n",
]


def config(**settings: object) -> JobConfig:
    base = {
        "input.paths": ["unused"],
        "output.path": "unused",
        "model.path": "demo",
        "engine.max_model_len": MAX_MODEL_LEN,
        "engine.args": {"enforce_eager": True},
        "sampling.max_tokens": MAX_TOKENS,
    }
    return load_config(None, base | settings)


class Running:
    """An engine on an event loop of its own, as in a worker."""

    def __init__(self, job: JobConfig) -> None:
        self.infiller: Infiller = open_infiller(job, weights=True)
        self.engine: Engine = build_engine(job, self.infiller)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.info = self.run(self.engine.start())

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(300)

    def generate(self, *requests: Request) -> list[list[Generation]]:
        async def all_at_once() -> list[list[Generation]]:
            return list(await asyncio.gather(*map(self.engine.generate, requests)))

        return self.run(all_at_once())

    def prompt(self, prefix: str, suffix: str = "\n") -> list[int]:
        return [
            token_id
            for piece in self.infiller.encoder.pieces(prefix, suffix)
            for token_id in piece.token_ids
        ]


@pytest.fixture(scope="module")
def vllm() -> Iterator[Running]:
    running = Running(config(**{"sampling.temperature": 0.9, "sampling.n": 2}))
    yield running
    running.run(running.engine.stop())


def test_what_came_up(vllm: Running) -> None:
    assert vllm.info.name == "vllm"
    assert vllm.info.device in ("cpu", "cuda")
    quick = vllm.info.device == "cpu" and dtype_argument(demo_model_path(), {})
    assert vllm.info.dtype == ("float32" if quick else "bfloat16")


@pytest.mark.skipif(cores_here() > 8, reason="there, vLLM binds a lone engine's threads")
def test_a_model_of_one_part_takes_no_process_beside_the_core(vllm: Running) -> None:
    (core,) = engine_cores(psutil.Process().children())
    assert not named("Worker", core.children(recursive=True))


def test_the_seed_decides_each_sample(vllm: Running) -> None:
    prompt = vllm.prompt("def find(self, name):\n    return ")
    first, again, other = vllm.generate(
        Request("a", prompt, 7), Request("b", prompt, 7), Request("c", prompt, 99)
    )
    ids = [sample.token_ids for sample in first]
    assert ids == [sample.token_ids for sample in again]
    assert ids != [sample.token_ids for sample in other]
    (shifted,) = vllm.generate(Request("d", prompt, 8))
    assert shifted[0].token_ids == first[1].token_ids


def test_more_prompts_than_fit_a_step_change_no_sample(vllm: Running) -> None:
    """A step takes 4,096 tokens. On CPU, vLLM's core dies if it cuts a prompt that has a seed."""
    texts = [f"def f{number}(x):\n    return x + {number}\n\n" * 12 for number in range(60)]
    requests = [Request(f"m{i}", vllm.prompt(text)[-200:], i) for i, text in enumerate(texts)]
    assert sum(len(request.token_ids) for request in requests) > 2 * 4096
    together = vllm.generate(*requests)
    for request, samples in list(zip(requests, together, strict=True))[::6]:
        (alone,) = vllm.generate(replace(request, request_id=f"alone-{request.request_id}"))
        assert [one.token_ids for one in alone] == [one.token_ids for one in samples]


def test_accounts_of_a_generation(vllm: Running) -> None:
    prompt = vllm.prompt("import os\nimport sys\n\n" * 12)
    vllm.generate(Request("warm", prompt, 1))
    for sample in vllm.generate(Request("again", prompt, 2))[0]:
        assert sample.prompt_tokens == len(prompt)
        assert 0 < sample.cached_tokens < len(prompt)
        assert 0 < len(sample.token_ids) <= MAX_TOKENS
        assert sample.finish_reason in ("stop", "length")
        stopped = sample.token_ids[-1] in vllm.infiller.encoder.stop_token_ids
        assert stopped == (sample.finish_reason == "stop")
        timing = sample.timing
        assert 0 <= timing.queue_s <= timing.ttft_s <= timing.latency_s
        assert (timing.tpot_s is None) == (len(sample.token_ids) == 1)


def test_each_step_of_the_core_is_counted(vllm: Running) -> None:
    """The first answer may come late: by these one sees that it lives."""
    before = vllm.engine.num_steps
    ((first, second),) = vllm.generate(Request("steps", vllm.prompt(STARTS[0]), seed=5))
    steps = max(len(first.token_ids), len(second.token_ids))
    assert vllm.engine.num_steps - before >= steps - 1  # after the last, nothing runs any more


def test_a_prompt_beyond_the_context_is_refused_and_others_go_on(vllm: Running) -> None:
    with pytest.raises(RequestRefused, match=str(MAX_MODEL_LEN)):
        vllm.generate(Request("long", [7] * (MAX_MODEL_LEN + 1), 0))
    assert vllm.generate(Request("short", vllm.prompt("x = "), 0))


@pytest.fixture
def aborted(vllm: Running, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requests that the engine's core is told to abort."""
    core = vllm.engine._stepper._llm.engine_core  # type: ignore[attr-defined]
    told: list[str] = []
    send = core.abort_requests

    def tell(request_ids: list[str]) -> None:
        told.extend(request_ids)
        send(request_ids)

    monkeypatch.setattr(core, "abort_requests", tell)
    return told


@pytest.mark.parametrize("rule", ["line", "block", "suffix_start"])
def test_ending_early_gives_the_same_middles_for_fewer_tokens(
    vllm: Running, aborted: list[str], rule: StopRule
) -> None:
    """Against the same generations, run to their end and cut by the same rules.

    The prompts are prefixes alone: left to right, the demo model writes several lines.
    """
    encoder, tokenizer = vllm.infiller.encoder, vllm.infiller.tokenizer
    finisher = Finisher(tokenizer, encoder.stop_token_ids, stop=("eot", rule))
    prompts = [list(ids) for ids in tokenizer.encode(STARTS)]
    whole = vllm.generate(*(Request(f"w{i}", ids, 10 * i) for i, ids in enumerate(prompts)))
    later = [finisher.raw_middle(samples[0].token_ids).split("\n", 1)[-1] for samples in whole]
    holes = [Hole(start, text) for start, text in zip(STARTS, later, strict=True)]
    assert aborted == []
    early = vllm.generate(
        *(
            Request(f"e{i}", ids, 10 * i, finisher.stop_checks(hole))
            for i, (hole, ids) in enumerate(zip(holes, prompts, strict=True))
        )
    )
    for hole, finished, cut in zip(holes, whole, early, strict=True):
        for one, other in zip(finished, cut, strict=True):
            assert middle_of(finisher, other, hole) == middle_of(finisher, one, hole)
            assert other.token_ids == one.token_ids[: len(other.token_ids)]
    stopped = [one for samples in early for one in samples if one.finish_reason == STOPPED]
    assert stopped
    assert sum(map(num_tokens, early)) < sum(map(num_tokens, whole))
    assert len(aborted) == len(stopped)


def middle_of(finisher: Finisher, sample: Generation, hole: Hole) -> tuple[str, str]:
    """A sample's middle, and the rule that ended it."""
    middle = finisher.finish(
        sample.token_ids,
        hole,
        reached_limit=sample.finish_reason == "length",
        by_rule=sample.finish_reason == STOPPED,
    )
    return middle.text, middle.stop_rule


def num_tokens(samples: list[Generation]) -> int:
    return sum(len(sample.token_ids) for sample in samples)


def test_who_no_longer_waits_frees_the_cache(vllm: Running, aborted: list[str]) -> None:
    async def give_up() -> None:
        asked = asyncio.create_task(vllm.engine.generate(Request("up", vllm.prompt("x = "), 0)))
        before = vllm.engine.num_steps
        while vllm.engine.num_steps == before:
            await asyncio.sleep(0.001)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    vllm.run(give_up())
    assert vllm.generate(Request("next", vllm.prompt("x = "), 0))
    assert len(aborted) == 2


def test_an_error_of_the_core_is_known_outside_it(vllm: Running) -> None:
    """vLLM's core logs the error it dies of, and only says that it died."""
    engine: Any = vllm.engine
    assert engine._core_log.last_error() is None
    with pytest.raises(Exception, match="no_such_method"):  # it logs this too, and lives on
        engine._stepper._llm.engine_core.call_utility("no_such_method")
    assert "no attribute 'no_such_method'" in engine._core_log.last_error()


def test_a_core_killed_at_work_is_a_dead_engine(vllm: Running) -> None:
    """vLLM tells nobody who waits for its next step."""
    requests = [Request(f"late-{number}", vllm.prompt("x = "), 0) for number in range(100)]

    async def work() -> list[list[Generation] | BaseException]:
        asked = [asyncio.create_task(vllm.engine.generate(request)) for request in requests]
        before = vllm.engine.num_steps
        while vllm.engine.num_steps == before:
            await asyncio.sleep(0.001)
        cores = engine_cores(psutil.Process().children())
        assert cores
        for core in cores:
            core.kill()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = vllm.run(work())
    assert any(isinstance(answer, EngineDead) for answer in answers)
    assert all(isinstance(answer, EngineDead | list) for answer in answers)
    with pytest.raises(EngineDead):
        vllm.generate(Request("later", vllm.prompt("x = "), 0))
