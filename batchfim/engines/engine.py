"""What batchfim asks of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

StopCheck = Callable[[int], bool]  # told a sample's ids one by one: whether this one was the last
STOPPED = "rule"  # finish reason of a sample its check ended


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt. `seed` is the first sample's; sample i draws with `seed + i`.

    `new_stop_check` makes a check for one sample, which a thread of the engine's may ask; a check
    that says so ends its sample's generation. `adapter` names the LoRA adapter it is for; None: the
    model as it is.
    """

    request_id: str
    token_ids: list[int]
    seed: int
    new_stop_check: Callable[[], StopCheck] | None = None
    adapter: str | None = None

    def stop_check(self) -> StopCheck | None:
        """A fresh check for one sample, where the request has checks."""
        return self.new_stop_check() if self.new_stop_check else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds on one monotonic clock, from the moment `generate` was called."""

    queue_s: float
    ttft_s: float
    latency_s: float
    tpot_s: float | None

    @classmethod
    def between(
        cls, submitted_s: float, scheduled_s: float, first_s: float, last_s: float, num_tokens: int
    ) -> Timing:
        """Of a sample with so many tokens, the first and last of which came when told."""
        return cls(
            queue_s=max(scheduled_s - submitted_s, 0.0),
            ttft_s=first_s - submitted_s,
            latency_s=last_s - submitted_s,
            tpot_s=(last_s - first_s) / (num_tokens - 1) if num_tokens > 1 else None,
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One sample: the ids generated (the stop token included) and what they cost.

    `finish_reason`: `stop` (a stop token), `length`, or `STOPPED`; after the last, the engine may
    have computed a token or two more, which nobody saw. `logprobs`, where asked for: of each id,
    natural logarithm, as the model has it before temperature and limits. `num_preemptions`: how
    often the engine gave its KV cache to another and computed it again, which no count tells.
    """

    token_ids: list[int]
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    timing: Timing
    logprobs: list[float] | None = None
    num_preemptions: int = 0


@dataclass(frozen=True, slots=True)
class Drafts:
    """What speculative decoding drafted, and what of it the model took, in tokens."""

    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What came up, for the ledger and the summary; `max_num_seqs` are worked at the same time."""

    name: str
    version: str
    device: str
    max_num_seqs: int = 256
    dtype: str = ""  # of weights and KV cache, unless either is quantised


def take(token_ids: Iterable[int], check: StopCheck | None) -> tuple[list[int], bool]:
    """The ids up to the one the check ends a sample with, and whether it did.

    An engine that learns of several ids at once takes no more of them than one that learns of each
    alone, so that a sample does not depend on how the engine was scheduled.
    """
    if check is None:
        return list(token_ids), False
    taken: list[int] = []
    for token_id in token_ids:
        taken.append(token_id)
        if check(token_id):
            return taken, True
    return taken, False


class Engine(Protocol):
    """An engine for one model and one way of sampling, both fixed when it is built."""

    @property
    def num_steps(self) -> int:
        """Of work inside of requests, which may take long without an answer; from any thread."""

    async def start(self) -> EngineInfo:
        """Load the model. Raises EngineStartError, with what to change."""

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt, `sampling.n` times.

        Raises:
            EngineDead: the engine is gone; nothing more will come from it.
            RequestRefused: the engine will never accept this prompt.
            TryAgain: it failed in a way that may pass.
        """

    def take_drafts(self) -> Drafts:
        """Those since this was last asked, of whatever request; none without speculation."""

    async def stop(self) -> None:
        """Free the engine and end its processes; harmless when it is dead already."""
