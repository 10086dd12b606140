"""vLLM's LLMEngine, stepped by a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from batchfim.engines.engine import Generation
from batchfim.engines.vllm_outputs import SampleSoFar, translate
from batchfim.errors import EngineDead

_log = logging.getLogger(__name__)
_STOPPED = "the engine was stopped"
_LOOK_S = 1.0  # a core that was killed is seen so late


def _future() -> asyncio.Future[Generation]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample that vLLM is asked for.

    Attributes:
        id: no other sample in the engine has it.
        token_ids: of its prompt.
        params: vLLM's sampling parameters.
        so_far: takes in what vLLM tells of it.
        lora: vLLM's request for an adapter.
        answer: of the loop that asks; set there.
    """

    id: str
    token_ids: list[int]
    params: Any
    so_far: SampleSoFar
    lora: Any = None
    answer: asyncio.Future[Generation] = field(default_factory=_future)


@dataclass(frozen=True, slots=True)
class _Abort:
    sample: Sample


_Answers = list[tuple[Sample, Generation | Exception]]


class Stepper:
    """Hands samples to vLLM between two of its steps, and answers to the loop, a step's at once.

    vLLM's front end for many callers, `AsyncLLM`, has a task, a queue and a socket's future for
    each request and wakes them for each of its tokens where a rule looks at them, with which this
    process worked a third more (`benchmarks/README.md`). The thread alone calls vLLM; the loop
    looks whether its core is dead, and puts what wakes the thread among its outputs.
    """

    def __init__(self, llm: Any, stop_s: float | None) -> None:
        """Start the thread, on the loop that will ask.

        Args:
            llm: vLLM's `LLMEngine`, its core in a process of its own.
            stop_s: that the core has to end by itself; None: vLLM's own.
        """
        self._llm = llm
        self._stop_s = stop_s
        self._asked: SimpleQueue[Sample | _Abort | None] = SimpleQueue()  # None: end
        self._in_engine: dict[str, Sample] = {}  # the thread's
        self._unanswered: set[Sample] = set()  # the loop's, as all below
        self._failure: str | None = None
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watch = self._loop.create_task(self._look_after_core())
        self._thread = threading.Thread(target=self._run, name="vllm-steps", daemon=True)
        self._thread.start()

    async def answer(self, sample: Sample) -> Generation:
        """Have one sample generated; where this is cancelled, vLLM frees its cache.

        Raises:
            EngineDead: the engine is gone.
            RequestRefused: it will never accept this prompt.
            TryAgain: it failed in a way that may pass.
        """
        if self._failure is not None:
            raise EngineDead(self._failure)
        self._unanswered.add(sample)
        self._asked.put(sample)
        try:
            return await sample.answer
        except asyncio.CancelledError:
            self._asked.put(_Abort(sample))
            raise
        finally:
            self._unanswered.discard(sample)

    async def stop(self) -> None:
        """End the thread and the core."""
        self._watch.cancel()
        self._asked.put(None)
        self._wake(EngineDead(_STOPPED))
        await self._ended.wait()  # also at the process's exit, when no thread can be had to join

    async def _look_after_core(self) -> None:
        """vLLM tells a core's death by a signal to nobody who waits for its next step."""
        while not self._llm.engine_core.resources.engine_dead:
            await asyncio.sleep(_LOOK_S)
        self._wake(EngineDead("the engine's core process ended"))

    def _wake(self, error: EngineDead) -> None:
        self._llm.engine_core.outputs_queue.put_nowait(error)

    def _run(self) -> None:
        self._tell(self._fail, self._work())
        try:
            self._llm.engine_core.shutdown(timeout=self._stop_s)
            self._llm.renderer.shutdown()
        finally:
            self._tell(self._ended.set)

    def _work(self) -> str:
        """Until it is stopped, or vLLM fails with more than one request: why it ended."""
        try:
            while self._take_asked():
                self._step()
        except EngineDead as error:
            return str(error)
        except Exception as error:  # translated by one table
            ours = translate(error)
            if not isinstance(ours, EngineDead):
                _log.exception("vLLM failed in a step")
            return str(ours)
        return _STOPPED

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call, *arguments)

    def _take_asked(self) -> bool:
        """Hand over what was asked since the last step; wait for it where vLLM has nothing.

        Returns:
            Whether there is work; otherwise this is the end.
        """
        while not self._asked.empty() or not self._in_engine:
            match self._asked.get():
                case None:
                    return False
                case _Abort(sample):
                    if sample.id in self._in_engine:
                        self._abort([sample.id])
                case sample:
                    self._add(sample)
        return True

    def _add(self, sample: Sample) -> None:
        prompt = {"type": "token", "prompt_token_ids": sample.token_ids}
        try:
            self._llm.add_request(sample.id, prompt, sample.params, lora_request=sample.lora)
        except Exception as error:  # translated by one table
            self._tell(_settle, [(sample, translate(error))])
        else:
            self._in_engine[sample.id] = sample

    def _step(self) -> None:
        """Wait for the core's next step, and tell the loop which samples ended with it."""
        answers: _Answers = []
        needless: list[str] = []
        for output in self._llm.step():
            sample = self._in_engine[output.request_id]
            answer = _taken_in(sample, output)
            if answer is None:
                continue
            answers.append((sample, answer))
            if output.finished:
                del self._in_engine[sample.id]
            else:
                needless.append(sample.id)
        if needless:
            self._abort(needless)
        if answers:
            self._tell(_settle, answers)

    def _abort(self, ids: list[str]) -> None:
        self._llm.abort_request(ids)
        for one in ids:
            del self._in_engine[one]

    def _fail(self, failure: str) -> None:
        self._failure = failure
        _settle([(sample, EngineDead(failure)) for sample in self._unanswered])


def _taken_in(sample: Sample, output: Any) -> Generation | Exception | None:
    try:
        return sample.so_far.take_in(output)
    except Exception as error:  # of its check: no other sample's affair
        return translate(error)


def _settle(answers: _Answers) -> None:
    for sample, answer in answers:
        if sample.answer.done():  # nobody waits for it any more
            continue
        if isinstance(answer, Exception):
            sample.answer.set_exception(answer)
        else:
            sample.answer.set_result(answer)
