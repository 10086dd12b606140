"""Statistics of vLLM's steps, collected by loggers that replace vLLM's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from batchfim.engines.engine import Drafts


@dataclass(slots=True)
class StepCounts:
    """Counts steps with running requests, and drafted and accepted tokens of speculative decoding.

    One thread counts; another may take the drafts.
    """

    num_steps: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    taken: Drafts = field(default_factory=Drafts)

    def take(self) -> Drafts:
        """Drafts counted since the last call."""
        before, self.taken = self.taken, Drafts(self.drafted_tokens, self.accepted_tokens)
        return Drafts(
            self.taken.drafted_tokens - before.drafted_tokens,
            self.taken.accepted_tokens - before.accepted_tokens,
        )


def step_logger(counts: StepCounts) -> Any:
    """A logger class that counts into `counts`.

    It also replaces vLLM's Prometheus logger, which vLLM adds unless there is a logger of that
    class, and whose metrics are not read from workers.
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
    """The step logger, and under Ray also the logger that exports vLLM's metrics to Ray's agent.

    The latter is left out if Ray Serve (`ray[serve]`) is not installed, as it would export nothing.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        from vllm.v1.metrics import ray_wrappers

        if ray_wrappers.ray_metrics is not None:
            return [step_logger(counts), ray_logger(ray_wrappers.RayPrometheusStatLogger)]
    return [step_logger(counts)]


def ray_logger(base: Any) -> Any:
    """vLLM's logger for Ray without inter-token latencies.

    They would cost a call to Ray per token in the thread that steps the engine. The time per output
    token of each request is kept.
    """

    class RayLogger(base):  # type: ignore[misc]  # vLLM is not typed for us
        def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kw: Any) -> None:
            if iteration_stats is not None:
                iteration_stats.inter_token_latencies_iter.clear()
            super().record(scheduler_stats, iteration_stats, *args, **kw)

    return RayLogger
