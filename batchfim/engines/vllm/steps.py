"""vLLM's LLMEngine, stepped by its own thread."""

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
from batchfim.engines.vllm.outputs import SampleSoFar, translate
from batchfim.errors import EngineDead

_log = logging.getLogger(__name__)
_STOPPED = "the engine was stopped"
_LOOK_S = 1.0  # interval of checks whether the core was killed


def _future() -> asyncio.Future[Generation]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, eq=False)
class PendingSample:
    """One sample requested from vLLM.

    Attributes:
        id: unique among the samples in the engine.
        token_ids: token ids of the prompt.
        params: vLLM's sampling parameters.
        so_far: collects vLLM's outputs for the sample.
        lora: vLLM's `LoRARequest`, if the sample has an adapter.
        answer: future of the calling event loop, which also resolves it.
    """

    id: str
    token_ids: list[int]
    params: Any
    so_far: SampleSoFar
    lora: Any = None
    answer: asyncio.Future[Generation] = field(default_factory=_future)


@dataclass(frozen=True, slots=True)
class _Abort:
    sample: PendingSample


_Answers = list[tuple[PendingSample, Generation | Exception]]


class Stepper:
    """Hands samples to vLLM between steps, and returns each step's answers to the loop at once.

    `AsyncLLM`, vLLM's front end for concurrent callers, has a task, a queue and a socket future per
    request, and wakes them for every token if a stop rule checks each one; with it, this process
    used a third more CPU (`benchmarks/README.md`). Only the thread calls vLLM. The loop watches the
    core, and wakes the thread through vLLM's queue of outputs if the core dies. What it uses of
    vLLM beside `LLMEngine` is that of 0.32: `SyncMPClient` in `vllm/v1/engine/core_client.py`.
    """

    def __init__(self, llm: Any, stop_s: float | None, why_ended: Callable[[], str]) -> None:
        """Start the thread; call this in the event loop that will call `answer`.

        Args:
            llm: vLLM's `LLMEngine`, with its core in a separate process.
            stop_s: seconds in which the core may end by itself; None: vLLM's default.
            why_ended: says why the core ended, once it is dead.
        """
        self._llm = llm
        self._why_ended = why_ended
        self._stop_s = stop_s
        self._asked: SimpleQueue[PendingSample | _Abort | None] = SimpleQueue()  # None: end
        self._in_engine: dict[str, PendingSample] = {}  # used only by the thread
        self._unanswered: set[PendingSample] = set()  # this and all below: used only by the loop
        self._failure: str | None = None
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watch = self._loop.create_task(self._look_after_core())
        self._thread = threading.Thread(target=self._run, name="vllm-steps", daemon=True)
        self._thread.start()

    async def answer(self, sample: PendingSample) -> Generation:
        """Generate one sample; if this is cancelled, vLLM frees the sample's cache.

        Raises:
            EngineDead: the engine is gone.
            RequestRefused: the engine will never accept this prompt.
            TryAgain: the engine failed, but a retry may succeed.
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
        """Stop the thread and the core."""
        self._watch.cancel()
        self._asked.put(None)
        self._wake(EngineDead(_STOPPED))
        # Not a join: at interpreter exit, no thread can be started to wait for one.
        await self._ended.wait()

    async def _look_after_core(self) -> None:
        """Watch for the core's death, which vLLM does not report to callers waiting for a step."""
        while not self._llm.engine_core.resources.engine_dead:
            await asyncio.sleep(_LOOK_S)
        self._wake(EngineDead(self._why_ended()))

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
        """Step vLLM until it is stopped or fails beyond one request; returns the reason."""
        try:
            while self._take_asked():
                self._step()
        except EngineDead as error:
            return str(error)
        except Exception as error:  # translated below
            ours = self._ours(error)
            if not isinstance(ours, EngineDead):
                _log.exception("vLLM failed in a step")
            return str(ours)
        return _STOPPED

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so no caller is waiting
            self._loop.call_soon_threadsafe(call, *arguments)

    def _take_asked(self) -> bool:
        """Hand new requests to vLLM; wait for one if vLLM has none.

        Returns:
            Whether to continue stepping; False once the engine is to stop.
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

    def _add(self, sample: PendingSample) -> None:
        prompt = {"type": "token", "prompt_token_ids": sample.token_ids}
        try:
            self._llm.add_request(sample.id, prompt, sample.params, lora_request=sample.lora)
        except Exception as error:  # translated below
            self._tell(_settle, [(sample, self._ours(error))])
        else:
            self._in_engine[sample.id] = sample

    def _step(self) -> None:
        """Wait for the core's next step, and send the samples that it ended to the loop."""
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

    def _ours(self, error: Exception) -> Exception:
        ours = translate(error)
        # vLLM's own error says only that the core ended.
        return EngineDead(self._why_ended()) if isinstance(ours, EngineDead) else ours

    def _abort(self, ids: list[str]) -> None:
        self._llm.abort_request(ids)
        for one in ids:
            del self._in_engine[one]

    def _fail(self, failure: str) -> None:
        self._failure = failure
        _settle([(sample, EngineDead(failure)) for sample in self._unanswered])


def _taken_in(sample: PendingSample, output: Any) -> Generation | Exception | None:
    try:
        return sample.so_far.take_in(output)
    except Exception as error:  # raised by its check, so it concerns only this sample
        return translate(error)


def _settle(answers: _Answers) -> None:
    for sample, answer in answers:
        if sample.answer.done():  # no caller is waiting for it
            continue
        if isinstance(answer, Exception):
            sample.answer.set_exception(answer)
        else:
            sample.answer.set_result(answer)
