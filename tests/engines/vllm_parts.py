"""vLLM's own objects, as an engine would give them: what vLLM renames, tests see."""

from __future__ import annotations

from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.metrics.stats import RequestStateStats

PROMPT = [1, 2, 3]
CACHED_TOKENS = 2
PREEMPTIONS = 4


def request_output(token_ids: list[int], finish_reason: str | None) -> RequestOutput:
    """A step of a sample, or its end where there is a reason."""
    completion = CompletionOutput(0, "", token_ids, None, None, finish_reason=finish_reason)
    return RequestOutput(
        "r",
        None,
        PROMPT,
        None,
        [completion],
        finish_reason is not None,
        metrics=RequestStateStats(
            scheduled_ts=2.0, first_token_ts=3.0, last_token_ts=5.0, num_preemptions=PREEMPTIONS
        ),
        num_cached_tokens=CACHED_TOKENS,
    )
