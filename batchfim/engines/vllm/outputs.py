"""Convert vLLM's outputs and errors to batchfim's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from batchfim.engines.engine import STOPPED, Generation, StopFn, Timing, take
from batchfim.errors import EngineDead, EngineStartError, RequestRefused, TryAgain


@dataclass(slots=True)
class SampleSoFar:
    """The output of one sample so far.

    Attributes:
        check: the sample's stop check, if any; with one, vLLM returns outputs after each step,
            otherwise only at the end.
        submitted_s: time at which the request was handed over, on the monotonic clock.
    """

    check: StopFn | None
    submitted_s: float
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] | None = None

    def take_in(self, output: Any) -> Generation | Exception | None:
        """Add a `RequestOutput`; returns the answer once vLLM or the check ends the sample."""
        sample = output.outputs[0]
        taken, stopped = take(sample.token_ids, self.check)
        self.token_ids += taken
        if sample.logprobs is not None:
            self.logprobs = (self.logprobs or []) + _of_sampled(sample.logprobs)[: len(taken)]
        if not (stopped or output.finished):
            return None
        finish_reason = STOPPED if stopped else str(sample.finish_reason)
        if finish_reason not in (STOPPED, "stop", "length"):
            return TryAgain(f"vLLM ended the request with {finish_reason!r}")
        return self._generation(output, finish_reason)

    def _generation(self, output: Any, finish_reason: str) -> Generation:
        stats = output.metrics
        return Generation(
            token_ids=self.token_ids,
            finish_reason=finish_reason,
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            timing=Timing.between(
                self.submitted_s,
                stats.scheduled_ts,
                stats.first_token_ts,
                stats.last_token_ts,
                len(self.token_ids),
            ),
            logprobs=self.logprobs,
            num_preemptions=stats.num_preemptions,
        )


def _of_sampled(flat: Any) -> list[float]:
    """Log-probabilities of the sampled tokens, the first entry of each `FlatLogprobs` position."""
    return [flat.logprobs[start] for start in flat.start_indices]


def translate(error: Exception) -> Exception:
    """Translate vLLM's errors (`vllm/exceptions.py`, `vllm/v1/engine/exceptions.py`)."""
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    table: tuple[tuple[type[Exception], type[Exception]], ...] = (
        (EngineDeadError, EngineDead),
        (VLLMClientError, RequestRefused),
        (Exception, TryAgain),
    )
    ours = next(ours for theirs, ours in table if isinstance(error, theirs))
    return ours(f"{type(error).__name__}: {error}")


def start_error(error: Exception, core_error: str | None) -> EngineStartError:
    """The reason why the engine failed to start, with advice on what to change.

    Args:
        error: raised by vLLM in this process.
        core_error: the last error in the core's log.
    """
    text = core_error or f"{type(error).__name__}: {error}".strip()
    return EngineStartError(
        f"vLLM did not start: {text}; see the output of its core process in the log above; if "
        "memory was short, lower engine.kv_cache_gib or engine.max_model_len"
    )
