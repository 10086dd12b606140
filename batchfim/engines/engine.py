"""The engine interface and its data types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

StopFn = Callable[[int], bool]  # given a sample's ids one by one; True for the last one
STOPPED = "rule"  # finish reason of a sample ended by its check


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt. `seed` is that of the first sample; sample i draws with `seed + i`.

    `new_stop_check` creates a check for one sample, which a thread of the engine may call; the
    sample's generation ends when it returns True. `adapter` is the name of a LoRA adapter, or None
    for the model without one.
    """

    request_id: str
    token_ids: list[int]
    seed: int
    new_stop_check: Callable[[], StopFn] | None = None
    adapter: str | None = None

    def stop_check(self) -> StopFn | None:
        """A new check for one sample; None if the request has no checks."""
        return self.new_stop_check() if self.new_stop_check else None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds on one monotonic clock since the call of `generate`."""

    queue_s: float
    ttft_s: float
    latency_s: float
    tpot_s: float | None

    @classmethod
    def between(
        cls, submitted_s: float, scheduled_s: float, first_s: float, last_s: float, num_tokens: int
    ) -> Timing:
        """The timing of a sample with `num_tokens` tokens, given its absolute times."""
        return cls(
            queue_s=max(scheduled_s - submitted_s, 0.0),
            ttft_s=first_s - submitted_s,
            latency_s=last_s - submitted_s,
            tpot_s=(last_s - first_s) / (num_tokens - 1) if num_tokens > 1 else None,
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One sample: the generated ids, including the stop token, and their cost.

    `finish_reason` is `stop` (a stop token), `length` or `STOPPED`; in the last case the engine may
    have computed a token or two more that are not included. `logprobs`, if requested, are the
    natural log-probabilities of the ids under the model, before temperature and limits.
    `num_preemptions` is how often the engine gave the sample's KV cache to another sample and
    computed it again, which the token counts do not include.
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
    """Tokens that speculative decoding drafted, and how many of them the model accepted."""

    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The started engine, for the ledger and the summary; it runs `max_num_seqs` at a time."""

    name: str
    version: str
    device: str
    max_num_seqs: int = 256
    dtype: str = ""  # of weights and KV cache, unless either is quantized


def take(token_ids: Iterable[int], check: StopFn | None) -> tuple[list[int], bool]:
    """The ids up to the one at which the check ends the sample, and whether it ended it.

    An engine that delivers several ids at once thus keeps no more of them than one that delivers
    them one by one, so that a sample does not depend on the engine's schedule.
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
    """An engine for one model and one sampling configuration, both fixed when it is built."""

    @property
    def num_steps(self) -> int:
        """Steps made within requests, which may take long to answer; callable from any thread."""

    async def start(self) -> EngineInfo:
        """Load the model.

        Raises:
            EngineStartError: the engine cannot start; the message says what to change.
        """

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt, `sampling.n` times.

        Raises:
            EngineDead: the engine is gone and will answer no more requests.
            RequestRefused: the engine will never accept this prompt.
            TryAgain: the engine failed, but a retry may succeed.
        """

    def take_drafts(self) -> Drafts:
        """Drafts of all requests since the last call; zero without speculative decoding."""

    async def stop(self) -> None:
        """Free the engine and end its processes; has no effect if the engine is dead already."""
