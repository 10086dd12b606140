"""Percentiles over all records of a job, without keeping the records."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_RATIO = 1.02  # of a bucket's bounds: a percentile is right to 1 %
_LOG_RATIO = math.log(_RATIO)
_SMALLEST_S = 1e-6
Bucket = Annotated[int, Field(ge=-1000, le=10_000)]  # a microsecond is in -697


class Histogram(BaseModel):
    """Counts in buckets whose bounds grow by 2 %, and the exact extremes.

    Histograms add up, so a shard's travels in its report and the job's is their sum. Method:
    DDSketch (arXiv 1908.10693), with a relative error of 1 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: dict[Bucket, int] = {}
    count: int = 0
    total: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """Count values, in seconds; below a microsecond they are one bucket."""
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
        """All values of several histograms."""
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
        """Nearest-rank percentile, right to 1 %; None where nothing was counted."""
        rank = max(math.ceil(self.count * percent / 100), 1)
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return min(self.middle(bucket), self.max)
        return None

    @staticmethod
    def bound(bucket: int) -> float:
        """The largest value that is counted in a bucket."""
        return math.exp(_LOG_RATIO * bucket)

    @staticmethod
    def middle(bucket: int) -> float:
        """A value that is within 1 % of each that is counted in a bucket."""
        return math.exp(_LOG_RATIO * (bucket - 0.5))

    def summary(self) -> dict[str, float | None]:
        """What `summary.json` shows: the mean, percentiles 50, 90 and 99, the exact maximum."""
        return {
            "mean": self.total / self.count if self.count else None,
            "p50": self.percentile(50),
            "p90": self.percentile(90),
            "p99": self.percentile(99),
            "max": self.max if self.count else None,
        }
