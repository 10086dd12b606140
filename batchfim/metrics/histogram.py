"""Percentiles over all records of a job, without storing the records."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_RATIO = 1.02  # of a bucket's bounds, for percentiles within 1 %
_LOG_RATIO = math.log(_RATIO)
_SMALLEST_S = 1e-6
Bucket = Annotated[int, Field(ge=-1000, le=10_000)]  # a microsecond is in bucket -697


class Histogram(BaseModel):
    """Counts in buckets whose bounds grow by 2 %, with the exact total and maximum.

    Histograms add up: each shard's is in its report, and the job's is their sum. Method: DDSketch
    (arXiv 1908.10693), with a relative error of 1 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: dict[Bucket, int] = {}
    count: int = 0
    total: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """The histogram of some values; those below 1e-6 (a microsecond) share one bucket."""
        buckets: dict[int, int] = {}
        count, total, largest = 0, 0.0, 0.0
        for value in values:
            bucket = math.ceil(math.log(max(value, _SMALLEST_S)) / _LOG_RATIO)
            buckets[bucket] = buckets.get(bucket, 0) + 1
            count += 1
            total += value
            largest = max(largest, value)
        return cls(buckets=buckets, count=count, total=total, max=largest)

    @classmethod
    def sum(cls, parts: Iterable[Histogram]) -> Histogram:
        """The histogram of all values of several histograms."""
        buckets: dict[int, int] = {}
        count, total, largest = 0, 0.0, 0.0
        for part in parts:
            for bucket, num in part.buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + num
            count += part.count
            total += part.total
            largest = max(largest, part.max)
        return cls(buckets=buckets, count=count, total=total, max=largest)

    def percentile(self, percent: float) -> float | None:
        """Nearest-rank percentile, within 1 %; None if nothing was counted."""
        rank = max(math.ceil(self.count * percent / 100), 1)
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return min(self.middle(bucket), self.max)
        return None

    @staticmethod
    def bound(bucket: int) -> float:
        """The largest value that a bucket counts."""
        return math.exp(_LOG_RATIO * bucket)

    @staticmethod
    def middle(bucket: int) -> float:
        """A value within 1 % of all values that a bucket counts."""
        return math.exp(_LOG_RATIO * (bucket - 0.5))

    def summary(self) -> dict[str, float | None]:
        """The mean, percentiles 50, 90 and 99, and the exact maximum, as in `summary.json`."""
        return {
            "mean": self.total / self.count if self.count else None,
            "p50": self.percentile(50),
            "p90": self.percentile(90),
            "p99": self.percentile(99),
            "max": self.max if self.count else None,
        }
