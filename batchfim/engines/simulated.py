"""An engine that answers after a modeled time, for scheduler and fault tests; never a default."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Callable, Sequence

from batchfim.config import Sampling
from batchfim.config.engine import Simulated
from batchfim.engines.engine import STOPPED, Drafts, EngineInfo, Generation, Request, Timing, take
from batchfim.errors import EngineDead, EngineStartError, RequestRefused, TryAgain


class SimulatedEngine:
    """Repeats a section of the prompt, chosen by the prompt and the seed, then stops."""

    num_steps = 0

    def __init__(
        self,
        config: Simulated,
        sampling: Sampling,
        *,
        stop_token_ids: tuple[int, ...],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self._config = config
        self._sampling = sampling
        self._stop, self._stops = stop_token_ids[0], frozenset(stop_token_ids)
        self._decode = decode
        self._slots = asyncio.Semaphore(config.max_num_seqs)
        self._dead = False
        self._hangs = False

    async def start(self) -> EngineInfo:
        """Wait for the modeled start time."""
        await asyncio.sleep(self._config.start_s)
        if self._config.fail_start:
            raise EngineStartError("the simulated engine was told not to start")
        return EngineInfo("simulated", "1", "none", self._config.max_num_seqs)

    async def generate(self, request: Request) -> list[Generation]:
        """Answer after the modeled prefill time of the prompt and decode time of the middle."""
        return [await self._sample(request, index) for index in range(self._sampling.n)]

    def take_drafts(self) -> Drafts:
        """No drafts: the engine has no speculative decoding."""
        return Drafts()

    async def stop(self) -> None:
        """Do nothing, as there is nothing to free."""

    async def _sample(self, request: Request, index: int) -> Generation:
        submitted_s = time.monotonic()
        async with self._slots:
            scheduled_s = time.monotonic()
            await self._fail_on_demand(request)
            middle, stopped = take(self._middle(request, index), request.stop_check())
            await asyncio.sleep(len(request.token_ids) / self._config.prefill_tokens_per_s)
            first_s = time.monotonic()
            await asyncio.sleep(len(middle) / self._config.decode_tokens_per_s)
            last_s = time.monotonic()
        return Generation(
            token_ids=middle,
            finish_reason=STOPPED if stopped else self._finish_reason(middle),
            prompt_tokens=len(request.token_ids),
            cached_tokens=0,
            timing=Timing.between(submitted_s, scheduled_s, first_s, last_s, len(middle)),
            logprobs=None if self._sampling.logprobs == "none" else [-0.5] * len(middle),
        )

    def _middle(self, request: Request, index: int) -> list[int]:
        seed = request.seed + index if self._sampling.temperature > 0 else 0
        text = f"{request.adapter or ''}{seed} {request.token_ids}".encode()
        draw = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
        start = draw % len(request.token_ids)
        stretch = request.token_ids[start : start + 1 + draw % 24]
        middle = [token_id for token_id in stretch if token_id not in self._stops]
        return [*middle, self._stop][: self._sampling.max_tokens]

    def _finish_reason(self, middle: list[int]) -> str:
        return "stop" if middle[-1] == self._stop else "length"

    async def _fail_on_demand(self, request: Request) -> None:
        if self._dead:
            raise EngineDead("the simulated engine is dead")
        config = self._config
        text = self._decode(request.token_ids)

        def asked(mark: str | None) -> bool:
            return mark is not None and mark in text

        if asked(config.die_if_contains):
            self._dead = True
            raise EngineDead("the simulated engine died on demand")
        if asked(config.kill_if_contains):
            os.kill(os.getpid(), signal.SIGKILL)
        self._hangs = self._hangs or asked(config.hang_if_contains)
        if self._hangs:
            await asyncio.Event().wait()
        if asked(config.refuse_if_contains):
            raise RequestRefused("refused on demand")
        if asked(config.fail_if_contains):
            raise TryAgain("failed on demand")
