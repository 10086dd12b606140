"""vLLM's outputs and errors, in ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from batchfim.engines.engine import STOPPED, Generation, StopCheck, Timing, take
from batchfim.errors import EngineDead, EngineStartError, RequestRefused, TryAgain


async def read_outputs(
    outputs: AsyncIterator[Any], check: StopCheck | None, submitted_s: float
) -> Generation:
    """Read vLLM's outputs of one sample to their end, or to where the check ends it.

    Args:
        outputs: one `RequestOutput` with all ids or, where there is a check, one for each step.
        check: the sample's.
        submitted_s: when the request was handed over, on the monotonic clock.
    """
    token_ids: list[int] = []
    logprobs: list[float] | None = None
    stopped = False
    async for output in outputs:
        sample = output.outputs[0]
        taken, stopped = take(sample.token_ids, check)
        token_ids += taken
        if sample.logprobs is not None:
            logprobs = (logprobs or []) + _of_sampled(sample.logprobs)[: len(taken)]
        if stopped:
            break
    finish_reason = STOPPED if stopped else str(output.outputs[0].finish_reason)
    if finish_reason not in (STOPPED, "stop", "length"):
        raise TryAgain(f"vLLM ended the request with {finish_reason!r}")
    return _generation(output, token_ids, logprobs, finish_reason, submitted_s)


def _of_sampled(flat: Any) -> list[float]:
    """Of `FlatLogprobs`, each position's first entry: the sampled token's."""
    return [flat.logprobs[start] for start in flat.start_indices]


def _generation(
    output: Any,
    token_ids: list[int],
    logprobs: list[float] | None,
    finish_reason: str,
    submitted_s: float,
) -> Generation:
    stats = output.metrics
    return Generation(
        token_ids=token_ids,
        finish_reason=finish_reason,
        prompt_tokens=len(output.prompt_token_ids),
        cached_tokens=output.num_cached_tokens or 0,
        timing=Timing.between(
            submitted_s,
            stats.scheduled_ts,
            stats.first_token_ts,
            stats.last_token_ts,
            len(token_ids),
        ),
        logprobs=logprobs,
        num_preemptions=stats.num_preemptions,
    )


def translate(error: Exception) -> Exception:
    """vLLM's errors to ours (`vllm/exceptions.py`, `vllm/v1/engine/exceptions.py`)."""
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    table: tuple[tuple[type[Exception], type[Exception]], ...] = (
        (EngineDeadError, EngineDead),
        (VLLMClientError, RequestRefused),
        (Exception, TryAgain),
    )
    ours = next(ours for theirs, ours in table if isinstance(error, theirs))
    cause = error if str(error) else error.__cause__ or error  # `EngineGenerateError` has no text
    return ours(f"{type(cause).__name__}: {cause}")


def start_error(error: Exception) -> EngineStartError:
    """Why the engine did not come up, and what to change."""
    text = f"{type(error).__name__}: {error}".strip()
    return EngineStartError(
        f"vLLM did not start: {text}; what its core process said is in the log above; if it was "
        "memory, lower engine.kv_cache_gib or engine.max_model_len"
    )
