"""How samples reach vLLM's steps and their answers come back, without an engine behind it."""

from __future__ import annotations

import asyncio
import time

import pytest

from batchfim.engines.engine import STOPPED, Request, StopFn
from batchfim.engines.vllm.engine import VllmEngine
from batchfim.engines.vllm.steps import Stepper
from batchfim.errors import EngineDead, RequestRefused, TryAgain

pytest.importorskip("vllm")

from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.exceptions import EngineDeadError

from tests.engines.vllm_llm import (
    ALIVE_S,
    REFUSED,
    TOKENS,
    WHY,
    Answers,
    Llm,
    complete,
    run,
    two_at_work,
    until,
)


def test_one_thread_alone_touches_vllm() -> None:
    llm = Llm()
    llm.go_on(100)
    answers = complete(llm, prompts=[[1], [2], REFUSED])
    assert llm.threads == {"vllm-steps"}
    assert (llm.running, llm.shut_down) == ({}, 2)  # core and renderer
    for answer in answers[:2]:
        assert isinstance(answer, list)
        assert (answer[0].token_ids, answer[0].finish_reason) == (TOKENS, "length")


def test_a_refused_prompt_is_told_and_others_go_on() -> None:
    llm = Llm()
    llm.go_on(100)
    refused, other = complete(llm, prompts=[REFUSED, [1]])
    assert isinstance(refused, RequestRefused)
    assert "too long" in str(refused)
    assert isinstance(other, list)


def test_samples_that_end_early_are_aborted_and_nothing_is_left() -> None:
    llm = Llm()
    llm.go_on(100)

    def new_check() -> StopFn:
        return lambda token_id: token_id == 7

    (generations,) = complete(llm, new_check, num_samples=3)
    assert isinstance(generations, list)
    assert [one.token_ids for one in generations] == [[5, 6, 7]] * 3
    assert {one.finish_reason for one in generations} == {STOPPED}
    assert sorted(llm.aborted) == [f"r0-{i}-{i}" for i in range(3)]
    assert llm.running == {}


@pytest.mark.parametrize("checked", [True, False])
def test_a_sample_that_ends_by_itself_is_not(checked: bool) -> None:
    llm = Llm()
    llm.go_on(100)
    (answer,) = complete(llm, (lambda: lambda token_id: False) if checked else None)
    assert isinstance(answer, list)
    assert (answer[0].token_ids, answer[0].finish_reason) == (TOKENS, "length")
    assert (llm.aborted, llm.running) == ([], {})
    assert llm.kinds == [RequestOutputKind.DELTA if checked else RequestOutputKind.FINAL_ONLY]


def test_a_sample_that_vllm_gave_up_is_tried_again_and_ends_the_others() -> None:
    llm = Llm(finish_reason="abort")
    llm.go_on(100)
    (answer,) = complete(llm, num_samples=3)
    assert isinstance(answer, TryAgain)
    assert str(answer) == "vLLM ended the request with 'abort'"
    assert llm.running == {}


def test_who_no_longer_waits_frees_the_cache() -> None:
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        kept, dropped = await two_at_work(engine, llm)
        dropped.cancel()
        await asyncio.gather(dropped, return_exceptions=True)
        llm.go_on()
        return [await kept]

    (answer,) = run(llm, ask)
    assert isinstance(answer, list)
    assert llm.aborted == ["second-0-1"]


def test_who_no_longer_waits_for_an_answer_on_its_way_costs_nobody_else_theirs() -> None:
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        dropped, kept = await two_at_work(engine, llm)
        llm.go_on()
        while llm.running:  # the loop does not turn, so that no answer arrives
            time.sleep(0.001)
        dropped.cancel()
        answers: Answers = [await kept]
        llm.go_on()
        return [*answers, await engine.generate(Request("later", [1], 3))]

    answers = run(llm, ask)
    assert all(isinstance(answer, list) for answer in answers)
    assert llm.aborted == []


def test_an_engine_that_is_idle_again_takes_the_next_at_once() -> None:
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        first = asyncio.create_task(
            engine.generate(Request("first", [1], 3, lambda: lambda token_id: token_id == 7))
        )
        llm.go_on(3)
        answers: Answers = [await first]
        second = asyncio.create_task(engine.generate(Request("second", [1], 3)))
        await until(lambda: len(llm.running) == 1)
        llm.go_on()
        answers.append(await second)
        assert engine._stepper
        assert not engine._stepper._unanswered
        return answers

    assert all(isinstance(answer, list) for answer in run(llm, ask))
    assert llm.aborted == ["first-0-0"]


def test_a_name_may_be_asked_for_again_at_once() -> None:
    """As a record's next attempt has, whose last one was cancelled."""
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        first = asyncio.create_task(engine.generate(Request("r", [1], 3)))
        await until(lambda: len(llm.running) == 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(engine.generate(Request("r", [1], 3)))
        llm.go_on(100)
        return [await second]

    (answer,) = run(llm, ask)
    assert isinstance(answer, list)
    assert answer[0].token_ids == TOKENS
    assert llm.aborted == ["r-0-0"]


def test_two_of_one_name_are_two() -> None:
    """As where a shard is worked again while its last attempt still ends."""
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        def check(token_id: int) -> bool:
            return token_id == 8

        request = Request("r", [1], 3, lambda: check)
        first = asyncio.create_task(engine.generate(request))
        await until(lambda: len(llm.running) == 1)
        llm.go_on(2)
        await until(llm.outputs_queue.empty)
        second = asyncio.create_task(engine.generate(request))
        llm.go_on(100)
        return [await first, await second]

    for answer in run(llm, ask):
        assert isinstance(answer, list)
        assert answer[0].token_ids == [5, 6, 7, 8]
    assert llm.running == {}


def test_a_check_that_fails_fails_its_sample_alone() -> None:
    llm = Llm()
    llm.go_on(100)

    def fail(token_id: int) -> bool:
        raise RecursionError("too deep")

    async def ask(engine: VllmEngine) -> Answers:
        requests = Request("failing", [1], 3, lambda: fail), Request("other", [1], 3)
        return list(await asyncio.gather(*map(engine.generate, requests), return_exceptions=True))

    failing, other = run(llm, ask)
    assert isinstance(failing, TryAgain)
    assert str(failing) == "RecursionError: too deep"
    assert isinstance(other, list)
    assert llm.aborted == ["failing-0-0"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EngineDeadError(), WHY),
        (RuntimeError("tensor of size 3 expected"), "RuntimeError: tensor of size 3 expected"),
    ],
)
def test_a_step_that_fails_fails_all_that_wait_and_all_that_come(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        asked = [engine.generate(Request(f"r{i}", [1], 3)) for i in range(3)]
        waiting = asyncio.gather(*asked, return_exceptions=True)
        await until(lambda: len(llm.running) == 3)
        llm.outputs_queue.put(error)
        answers: Answers = [*await waiting]
        later = engine.generate(Request("later", [1], 3))
        return [*answers, *await asyncio.gather(later, return_exceptions=True)]

    answers = run(llm, ask)
    assert len(answers) == 4
    for answer in answers:
        assert isinstance(answer, EngineDead)
        assert str(answer).startswith(told)
    traced = [record for record in caplog.records if record.exc_info]
    assert len(traced) == isinstance(error, RuntimeError)  # what nobody expects
    assert llm.shut_down == 2  # core and renderer


@pytest.mark.parametrize("idle", [True, False])
def test_a_core_that_is_killed_answers_all_that_wait_for_it(idle: bool) -> None:
    """vLLM notes its end, and lets whoever waits for its next step wait."""
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        if idle:
            llm.resources.engine_dead = True
        waiting = asyncio.create_task(engine.generate(Request("r", [1], 3)))
        if not idle:
            await until(lambda: len(llm.running) == 1)
            llm.resources.engine_dead = True
        return [*await asyncio.gather(waiting, return_exceptions=True)]

    (answer,) = run(llm, ask)
    assert isinstance(answer, EngineDead)
    assert str(answer) == WHY


def test_it_stops_also_where_no_thread_can_be_had() -> None:
    """As when the process ends: `weakref.finalize` stops a Ray Data step's engine then."""
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        await asyncio.get_running_loop().shutdown_default_executor()
        assert engine._stepper
        await engine._stepper.stop()
        return []

    run(llm, ask)
    assert llm.shut_down == 2  # core and renderer


def test_the_core_ends_also_where_the_loop_is_closed_already() -> None:
    llm = Llm()

    async def start() -> Stepper:
        return Stepper(llm, stop_s=0.0, why_ended=lambda: WHY)

    stepper = asyncio.run(start())
    stepper._asked.put(None)
    stepper._thread.join(ALIVE_S)
    assert not stepper._thread.is_alive()
    assert llm.shut_down == 2  # core and renderer


@pytest.mark.parametrize("num_waiting", [0, 2])
def test_stopping_answers_all_that_wait(num_waiting: int) -> None:
    llm = Llm()

    async def ask(engine: VllmEngine) -> Answers:
        asked = [engine.generate(Request(f"r{i}", [1], 3)) for i in range(num_waiting)]
        waiting = asyncio.gather(*asked, return_exceptions=True)
        await until(lambda: len(llm.running) == num_waiting)
        assert engine._stepper
        await engine._stepper.stop()
        return [*await waiting]

    answers = run(llm, ask)
    assert [str(answer) for answer in answers] == ["the engine was stopped"] * num_waiting
    assert all(isinstance(answer, EngineDead) for answer in answers)
    assert llm.shut_down == 2  # core and renderer
