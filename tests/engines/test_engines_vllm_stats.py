"""What vLLM's loggers are given."""

from __future__ import annotations

from typing import Any

import pytest

from batchfim.engines.engine import Drafts
from batchfim.engines.vllm.stats import StepCounts, ray_logger, step_logger

pytest.importorskip("vllm")

from vllm.v1.metrics.stats import IterationStats, SchedulerStats


class Told:
    """In the place of vLLM's logger to Ray, which makes a call of Ray's for each number."""

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def record(self, _: Any, iteration_stats: Any, mm_cache_stats: Any = None) -> None:
        if iteration_stats is not None:
            self.numbers += iteration_stats.time_to_first_tokens_iter
            self.numbers += iteration_stats.inter_token_latencies_iter


def test_ray_is_told_of_requests_not_of_tokens() -> None:
    stats = IterationStats()
    stats.time_to_first_tokens_iter = [0.5]
    stats.inter_token_latencies_iter = [0.1] * 128
    logger = ray_logger(Told)()
    logger.record(SchedulerStats(), stats, mm_cache_stats=None)
    logger.record(SchedulerStats(), None)
    assert logger.numbers == [0.5]


def test_steps_with_requests_are_counted() -> None:
    counts = StepCounts()
    logger = step_logger(counts)(None)
    logger.record(SchedulerStats(num_running_reqs=0), None)
    logger.record(SchedulerStats(num_running_reqs=3), IterationStats())
    logger.record(None, None)
    assert counts.num_steps == 1


def test_drafts_are_told_once() -> None:
    counts = StepCounts(drafted_tokens=5, accepted_tokens=3)
    assert counts.take() == Drafts(5, 3)
    counts.drafted_tokens += 2
    assert counts.take() == Drafts(2, 0)
    assert counts.take() == Drafts()
