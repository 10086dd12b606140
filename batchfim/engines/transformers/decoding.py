"""Decode one batch. Imports torch, so import this module only when needed.

The loop replaces `model.generate`, which draws all rows of a batch from one random generator, so
that a row's sample would depend on its neighbors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from batchfim.config import Sampling
from batchfim.engines.engine import STOPPED, StopFn
from batchfim.errors import EngineDead

Tensor = Any  # torch.Tensor; the type checker does not follow torch
_LOWEST_TEMPERATURE = 0.01  # vLLM's: `vllm/sampling_params.py`, `_MAX_TEMP`


class Batch(Protocol):
    """A batch of prompts in a model. Logits are floats of shape rows times vocabulary."""

    forced: list[list[int]]  # per row: ids to append before the first generated one

    def first(self) -> Tensor:
        """Compute the prompts; returns the logits of the token after each."""

    def next(self, token_ids: Tensor) -> Tensor:
        """Append one token to each row; returns the logits of the next one."""

    def keep(self, rows: Tensor) -> None:
        """Continue with these rows only."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample of one prompt to compute, more than once if an attempt fails."""

    token_ids: list[int]
    seed: int
    max_tokens: int
    new_check: Callable[[], StopFn | None]


@dataclass(slots=True)
class Decoded:
    """A row's tokens, including the stop token; times are seconds on `time.monotonic`.

    `logprobs`, if requested, are those of each token before temperature and limits.
    """

    started_s: float
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""
    first_s: float = 0.0
    last_s: float = 0.0


@dataclass(slots=True)
class _Going:
    """An unfinished row with its own random generator."""

    row: Row
    decoded: Decoded
    forced: list[int]
    generator: Any
    check: StopFn | None

    def uniform(self) -> float:
        """The row's next random draw; forced tokens do not use up draws."""
        if self.forced:
            return 0.0
        return float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def take(
        self, token_id: int, logprob: float | None, now_s: float, stops: Collection[int]
    ) -> int:
        """Append the chosen token, unless another one is forced; returns the token to feed next."""
        if self.forced:
            return self.forced.pop(0)
        decoded = self.decoded
        decoded.token_ids.append(token_id)
        if logprob is not None:
            decoded.logprobs.append(logprob)
        decoded.first_s = decoded.first_s or now_s
        decoded.last_s = now_s
        if self.check and self.check(token_id):
            decoded.finish_reason = STOPPED
        elif token_id in stops:
            decoded.finish_reason = "stop"
        elif len(decoded.token_ids) == self.row.max_tokens:
            decoded.finish_reason = "length"
        return token_id


def decode(
    batch: Batch,
    rows: Sequence[Row],
    sampling: Sampling,
    stops: Collection[int],
    should_stop: Callable[[], bool],
) -> list[Decoded]:
    """Generate until every row is ended by a stop token, its check or its `max_tokens`.

    Finished rows leave the batch.

    Raises:
        EngineDead: the engine was stopped.
        others: whatever the model raises.
    """
    going = [_start(row, forced) for row, forced in zip(rows, batch.forced, strict=True)]
    decoded = [one.decoded for one in going]
    with torch.inference_mode():
        logits = batch.first()
        while not should_stop():
            uniforms = [one.uniform() for one in going] if sampling.temperature > 0 else []
            chosen = choose(logits, sampling, uniforms)
            now_s = time.monotonic()
            logprobs = logprobs_of(logits, chosen, sampling)
            token_ids = [
                one.take(token_id, logprob, now_s, stops)
                for one, token_id, logprob in zip(going, chosen, logprobs, strict=True)
            ]
            left = [place for place, one in enumerate(going) if not one.decoded.finish_reason]
            if not left:
                return decoded
            if len(left) < len(going):
                going = [going[place] for place in left]
                token_ids = [token_ids[place] for place in left]
                batch.keep(torch.tensor(left, device=logits.device))
            logits = batch.next(torch.tensor(token_ids, device=logits.device))
    raise EngineDead("the engine was stopped")


def choose(logits: Tensor, sampling: Sampling, uniforms: Sequence[float]) -> list[int]:
    """Choose each row's next token: the likeliest, or the one for its draw in [0, 1)."""
    if sampling.temperature == 0:
        greedy: list[int] = logits.argmax(-1).tolist()
        return greedy
    scaled = logits / max(sampling.temperature, _LOWEST_TEMPERATURE)
    reached = restrict(scaled, sampling.top_k, sampling.top_p).softmax(-1).double().cumsum(-1)
    draws = torch.tensor(uniforms, dtype=torch.float64, device=logits.device)[:, None]
    places = torch.searchsorted(reached, draws * reached[:, -1:], right=True)
    drawn: list[int] = places[:, 0].clamp(max=logits.shape[-1] - 1).tolist()
    return drawn


def logprobs_of(
    logits: Tensor, chosen: Sequence[int], sampling: Sampling
) -> Sequence[float | None]:
    """Each row's log-probability of its token under the unmodified model; None if not requested."""
    if sampling.logprobs == "none":
        return [None] * len(chosen)
    places = torch.tensor(chosen, device=logits.device)[:, None]
    found: list[float] = logits.log_softmax(-1).gather(-1, places)[:, 0].tolist()
    return found


def restrict(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Set all logits outside the top k, and of those outside the top p, to minus infinity.

    Top k is applied first, and ties with the k-th are kept, as in vLLM
    (`vllm/v1/sample/ops/topk_topp_sampler.py`, `apply_top_k_top_p_pytorch`).
    """
    if not 0 < top_k < logits.shape[-1] and top_p >= 1:
        return logits
    rising, order = logits.sort(dim=-1, stable=True)
    if 0 < top_k < logits.shape[-1]:
        rising = rising.masked_fill(rising < rising[:, -top_k, None], -torch.inf)
    if top_p < 1:
        unlikely = rising.softmax(-1).cumsum(-1) <= 1 - top_p
        unlikely[:, -1] = False
        rising = rising.masked_fill(unlikely, -torch.inf)
    return logits.scatter(-1, order, rising)


def _start(row: Row, forced: list[int]) -> _Going:
    generator = torch.Generator().manual_seed(row.seed)  # on CPU: equal draws on every device
    return _Going(row, Decoded(time.monotonic()), list(forced), generator, row.new_check())
