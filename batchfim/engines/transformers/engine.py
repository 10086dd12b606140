"""Transformers as an Engine, for models that vLLM does not support.

It computes static batches of prompts of similar length in one thread. It is slower than vLLM: a
batch takes no new prompt before it ends, and nothing is shared between prompts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfim.config import Sampling
from batchfim.engines.cpu import dtype_argument
from batchfim.engines.engine import Drafts, EngineInfo, Generation, Request, Timing
from batchfim.engines.transformers.args import TransformersArgs
from batchfim.engines.transformers.batching import pick_batch
from batchfim.errors import EngineDead, EngineError, EngineStartError, RequestRefused

if TYPE_CHECKING:  # it imports torch
    from batchfim.engines.transformers.decoding import Decoded, Row

_log = logging.getLogger(__name__)
_COLLECT_S = 0.005  # how long an idle engine waits for more prompts after the first one


@dataclass(frozen=True)
class Task:
    """The kind of a model and the special tokens of its prompts."""

    kind: str  # `Format.task`
    stop_token_ids: tuple[int, ...]
    mask_id: int | None = None  # stands for the middle, if the layout has such a token


@dataclass(frozen=True, slots=True)
class _Job:
    """A row and the future that its caller waits for."""

    row: Row
    submitted_s: float
    future: asyncio.Future[Decoded]


class TransformersEngine:
    """One model in this process, on CUDA if available. Used from one event loop."""

    def __init__(
        self,
        model: Path,
        task: Task,
        args: TransformersArgs,
        sampling: Sampling,
        *,
        max_model_len: int | None,
        trust_remote_code: bool = False,
    ) -> None:
        """Create the engine without starting it.

        Args:
            model: folder with config and weights.
            task: the model's kind and stop tokens.
            args: engine arguments.
            sampling: sampling of all middles.
            max_model_len: context length in tokens; None: no limit is known.
            trust_remote_code: allow the model's own Python code to run.
        """
        self._folder = model
        self._task = task
        self._args = args
        self._sampling = sampling
        self._max_model_len = max_model_len
        self._trust_remote_code = trust_remote_code
        self._max_batch_tokens = args.max_batch_tokens
        self._model: Any = None
        self._vocabulary_size = 0
        self._num_steps = 0
        # Tokens that a batch needs per prompt besides the prompt itself.
        self._beside = 0 if task.kind == "masked" else sampling.max_tokens
        self._waiting: list[_Job] = []
        self._in_hand: list[_Job] = []
        self._working: asyncio.Task[None] | None = None
        self._dead: EngineDead | None = None
        self._stopping = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    async def start(self) -> EngineInfo:
        """Import torch and load the model."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt; each sample is its own row, and samples may be in other batches."""
        from batchfim.engines.transformers.decoding import Row

        self._check(request)
        prompt = request.token_ids
        jobs = [
            self._submit(
                Row(prompt, request.seed + i, self._new_tokens(prompt), request.stop_check)
            )
            for i in range(self._sampling.n)
        ]
        results = await asyncio.gather(*(job.future for job in jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [_generation(job, job.future.result()) for job in jobs]

    @property
    def num_steps(self) -> int:
        """Computed layers, as on a slow device a batch's prompts alone may take many minutes."""
        return self._num_steps

    def take_drafts(self) -> Drafts:
        """No drafts: the engine has no speculative decoding."""
        return Drafts()

    async def stop(self) -> None:
        """End the current batch at its next token and free the model."""
        self._dead = self._dead or EngineDead("the engine was stopped")
        self._stopping.set()
        if self._working is not None:
            await asyncio.wait([self._working])
        with contextlib.suppress(RuntimeError):  # at interpreter exit, no new thread can start
            await asyncio.to_thread(self._thread.shutdown)
        if self._model is not None:
            self._model = None
            _free_memory()

    def _load(self) -> EngineInfo:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise EngineStartError(f"Transformers cannot be imported: {error}") from error
        from batchfim.engines.transformers.errors import start_error
        from batchfim.engines.transformers.model_loading import layers, load_model

        device, args = "cuda" if torch.cuda.is_available() else "cpu", self._args
        if device == "cpu" and args.dtype == "auto":
            args = args.model_copy(update=dtype_argument(self._folder, {}))
        try:
            self._model = load_model(
                self._folder,
                self._task.kind,
                args,
                max_model_len=self._max_model_len,
                device=device,
                trust_remote_code=self._trust_remote_code,
            )
        except EngineStartError:
            raise
        except Exception as error:  # any error here is reported as a failed start
            raise start_error(error) from error
        for layer in layers(self._model):
            layer.register_forward_hook(self._count_step)
        self._vocabulary_size = self._model.get_input_embeddings().num_embeddings
        dtype = str(self._model.dtype).removeprefix("torch.")
        return EngineInfo("transformers", transformers.__version__, device, dtype=dtype)

    def _count_step(self, *_: object) -> None:
        self._num_steps += 1

    def _check(self, request: Request) -> None:
        if self._dead is not None:
            raise EngineDead(str(self._dead))
        num_tokens, limit = len(request.token_ids), self._max_model_len
        if not num_tokens:
            raise RequestRefused("the prompt is empty")
        needed = num_tokens + 1 if self._task.kind == "causal" else num_tokens
        if limit is not None and needed > limit:
            raise RequestRefused(
                f"the prompt has {num_tokens} tokens, but the model's context has {limit}"
            )
        if self._task.kind == "masked" and self._task.mask_id not in request.token_ids:
            raise RequestRefused("the prompt has no mask to fill")
        largest = max(request.token_ids)
        if largest >= self._vocabulary_size:
            raise RequestRefused(
                f"token id {largest} is not in the model's vocabulary of {self._vocabulary_size}"
            )

    def _new_tokens(self, prompt: list[int]) -> int:
        """Tokens to generate for a prompt: `max_tokens`, limited by the room in the context.

        A masked model generates one token per mask; an encoder's prompt takes no room from its
        decoder.
        """
        if self._task.kind == "masked":
            return sum(token_id == self._task.mask_id for token_id in prompt)
        room = self._sampling.max_tokens
        if self._max_model_len is None or self._task.kind != "causal":
            return room
        return min(room, self._max_model_len - len(prompt))

    def _submit(self, row: Row) -> _Job:
        loop = asyncio.get_running_loop()
        job = _Job(row, time.monotonic(), loop.create_future())
        self._waiting.append(job)
        if self._working is None:
            self._working = loop.create_task(self._work())
            self._working.add_done_callback(self._end_work)
        return job

    async def _work(self) -> None:
        """Compute batches until no job waits."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(_COLLECT_S)
        while self._waiting:
            self._in_hand = self._next_batch()
            rows = [job.row for job in self._in_hand]
            outcomes = await loop.run_in_executor(self._thread, self._decode, rows)
            for job, outcome in zip(self._in_hand, outcomes, strict=True):
                _settle(job, outcome)
            self._in_hand = []
        self._working = None

    def _end_work(self, task: asyncio.Task[None]) -> None:
        """Fail the waiting jobs if the task was cancelled, even before its first step."""
        if not task.cancelled() and task.exception() is None:
            return  # another task may be running by now
        left, self._working = [*self._in_hand, *self._waiting], None
        self._in_hand, self._waiting = [], []
        for job in left:
            _settle(job, EngineDead("the engine was stopped"))

    def _next_batch(self) -> list[_Job]:
        picked = pick_batch(
            [len(job.row.token_ids) for job in self._waiting],
            new_tokens=self._beside,
            max_tokens=self._max_batch_tokens,
            max_padding=self._args.max_padding,
        )
        batch = [self._waiting[place] for place in picked]
        taken = set(picked)
        self._waiting = [job for i, job in enumerate(self._waiting) if i not in taken]
        return batch

    def _decode(self, rows: Sequence[Row]) -> Sequence[Decoded | EngineError]:
        """Compute a batch; if it fails, retry it in halves to find the row that causes it.

        Never raises: this runs in the engine's thread, and every row has a waiting caller.
        """
        from batchfim.engines.transformers.errors import is_out_of_memory, translate

        if self._dead is not None:
            return [self._dead] * len(rows)
        try:
            return self._run(rows)
        except Exception as error:  # translated below
            ours, no_memory = translate(error), is_out_of_memory(error)
        if isinstance(ours, EngineDead):
            self._dead = ours
        elif len(rows) > 1:
            if no_memory:
                self._shrink(rows)
            half = len(rows) // 2
            return [*self._decode(rows[:half]), *self._decode(rows[half:])]
        return [ours] * len(rows)

    def _run(self, rows: Sequence[Row]) -> list[Decoded]:
        """Run one batch, referenced only here so that its memory is free if it is retried."""
        from batchfim.engines.transformers import decoding, model_batches

        prompts, task = [row.token_ids for row in rows], self._task
        batch = model_batches.open_batch(task.kind, self._model, prompts, task.mask_id)
        decoded = decoding.decode(
            batch, rows, self._sampling, task.stop_token_ids, self._stopping.is_set
        )
        if task.kind == "masked":  # all masks are filled, so the middle is complete
            for one in decoded:
                one.finish_reason = "stop" if one.finish_reason == "length" else one.finish_reason
        return decoded

    def _shrink(self, rows: Sequence[Row]) -> None:
        """Limit later batches, as one of this size does not fit on the device."""
        tokens = (max(len(row.token_ids) for row in rows) + self._beside) * len(rows)
        self._max_batch_tokens = min(self._max_batch_tokens, tokens // 2)
        _free_memory()
        _log.warning("out of memory: batches now have at most %d tokens", self._max_batch_tokens)


def _settle(job: _Job, outcome: Decoded | EngineError) -> None:
    if job.future.done():
        return  # cancelled by the caller
    if isinstance(outcome, EngineError):
        job.future.set_exception(outcome)
    else:
        job.future.set_result(outcome)


def _generation(job: _Job, decoded: Decoded) -> Generation:
    return Generation(
        token_ids=decoded.token_ids,
        finish_reason=decoded.finish_reason,
        prompt_tokens=len(job.row.token_ids),
        cached_tokens=0,
        timing=Timing.between(
            job.submitted_s,
            decoded.started_s,
            decoded.first_s,
            decoded.last_s,
            len(decoded.token_ids),
        ),
        logprobs=decoded.logprobs or None,
    )


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
