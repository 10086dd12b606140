"""What batchfim asks of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt. `seed` is the first sample's; sample i draws with `seed + i`."""

    request_id: str
    token_ids: list[int]
    seed: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds on one monotonic clock, from the moment `generate` was called."""

    queue_s: float
    ttft_s: float
    latency_s: float
    tpot_s: float | None


@dataclass(frozen=True, slots=True)
class Generation:
    """One sample: the ids generated (the stop token included) and what they cost."""

    token_ids: list[int]
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    timing: Timing


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What came up, for the ledger and the summary."""

    name: str
    version: str
    device: str


class Engine(Protocol):
    """An engine for one model and one way of sampling, both fixed when it is built."""

    async def start(self) -> EngineInfo:
        """Load the model. Raises EngineStartError, with what to change."""

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt, `sampling.n` times.

        Raises:
            EngineDead: the engine is gone; nothing more will come from it.
            RequestRefused: the engine will never accept this prompt.
            TryAgain: it failed in a way that may pass.
        """

    async def stop(self) -> None:
        """Free the engine and end its processes; harmless when it is dead already."""
