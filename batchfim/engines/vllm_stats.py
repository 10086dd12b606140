"""What vLLM tells of its steps, in the place of its own loggers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from batchfim.engines.engine import Drafts


@dataclass(slots=True)
class StepCounts:
    """Counts steps in which requests were worked, and what speculative decoding drafts and what of
    it is accepted: one thread counts, another may take.
    """

    num_steps: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    taken: Drafts = field(default_factory=Drafts)

    def take(self) -> Drafts:
        """What was counted since the last time."""
        before, self.taken = self.taken, Drafts(self.drafted_tokens, self.accepted_tokens)
        return Drafts(
            self.taken.drafted_tokens - before.drafted_tokens,
            self.taken.accepted_tokens - before.accepted_tokens,
        )


def step_logger(counts: StepCounts) -> Any:
    """A logger that counts into `counts`.

    It stands in for vLLM's Prometheus metrics, which vLLM adds to any loggers but one of that
    class, and which nobody asks a worker for.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class StepLogger(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is not typed for us
        def __init__(self, vllm_config: Any, engine_indexes: Any = None) -> None:
            pass

        def record(self, scheduler_stats: Any, *_args: Any, **_kwargs: Any) -> None:
            if scheduler_stats is None:
                return
            if scheduler_stats.num_running_reqs:
                counts.num_steps += 1
            drafts = scheduler_stats.spec_decoding_stats
            if drafts:
                counts.drafted_tokens += drafts.num_draft_tokens
                counts.accepted_tokens += drafts.num_accepted_tokens

        def log_engine_initialized(self) -> None:
            pass

    return StepLogger


def loggers(counts: StepCounts) -> list[Any]:
    """Ours, and within Ray the one that tells vLLM's own metrics to Ray's agent.

    That one does without them where Ray Serve (`ray[serve]`) is not installed, and so do we.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        from vllm.v1.metrics import ray_wrappers

        if ray_wrappers.ray_metrics is not None:
            return [step_logger(counts), ray_logger(ray_wrappers.RayPrometheusStatLogger)]
    return [step_logger(counts)]


def ray_logger(base: Any) -> Any:
    """vLLM's logger to Ray without the time between tokens: that is a call of Ray's for each token
    in the thread that steps the engine. Each request's time per output token stays.
    """

    class RayLogger(base):  # type: ignore[misc]  # vLLM is not typed for us
        def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kw: Any) -> None:
            if iteration_stats is not None:
                iteration_stats.inter_token_latencies_iter.clear()
            super().record(scheduler_stats, iteration_stats, *args, **kw)

    return RayLogger
