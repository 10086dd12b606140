"""What a worker tells of a finished shard; stored as the shard's marker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, field_validator

from batchfim.metrics.histogram import Histogram
from batchfim.records import Completion, Status

TIMINGS = ("queue_s", "ttft_s", "tpot_s", "latency_s")
# Of a report and of the summary, each the values of one output column and how often each occurs.
ENDINGS = {
    "finish_reasons": "finish_reason",
    "stop_rules": "stop_rule",
    "trim_rules": "trim_rule",
    "degenerate": "degenerate",
}
_MOST_ERRORS = 20


class Counts(BaseModel):
    """Rows and tokens of some output rows; counts add up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0
    ok: int = 0
    rejected: int = 0
    failed: int = 0
    truncated: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    kept_tokens: int = 0

    @property
    def computed_tokens(self) -> int:
        """Prompt tokens the engine had to compute."""
        return self.prompt_tokens - self.cached_tokens

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> Counts:
        """Count output rows."""
        by_status = Counter(row.status for row in completions)
        return cls(
            rows=len(completions),
            ok=by_status[Status.OK],
            rejected=by_status[Status.REJECTED],
            failed=by_status[Status.FAILED],
            truncated=sum(
                row.truncated_prefix_tokens
                + row.truncated_suffix_tokens
                + row.truncated_context_tokens
                > 0
                for row in completions
            ),
            prompt_tokens=sum(row.prompt_tokens for row in completions),
            cached_tokens=sum(row.cached_tokens for row in completions),
            completion_tokens=sum(row.completion_tokens for row in completions),
            kept_tokens=sum(row.kept_tokens for row in completions),
        )

    @classmethod
    def sum(cls, parts: Iterable[Counts]) -> Counts:
        """The sum of several counts."""
        totals: Counter[str] = Counter()
        for part in parts:
            totals.update(part.model_dump())
        return cls(**totals)


class ShardReport(BaseModel):
    """A shard's accounts: what its part holds and how long it took, phase by phase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_id: str
    attempt: int
    worker: str
    records: int
    counts: Counts
    finish_reasons: dict[str, int]
    stop_rules: dict[str, int] = {}
    trim_rules: dict[str, int] = {}
    degenerate: dict[str, int] = {}
    errors: dict[str, int]
    timings: dict[str, Histogram]
    checksum: str
    size_bytes: int
    read_s: float
    encode_s: float
    generate_s: float
    write_s: float

    @field_validator("timings")
    @classmethod
    def _has_each_timing(cls, timings: dict[str, Histogram]) -> dict[str, Histogram]:
        if timings.keys() != set(TIMINGS):
            raise ValueError(f"timings must be {', '.join(TIMINGS)}")
        return timings


def timings(completions: Sequence[Completion]) -> dict[str, Histogram]:
    """A histogram for each of the four timings."""
    return {
        name: Histogram.of(
            value for row in completions if (value := getattr(row, name)) is not None
        )
        for name in TIMINGS
    }


def errors(completions: Sequence[Completion]) -> dict[str, int]:
    """The most frequent reasons of errors, without the place, and how often each occurred."""
    counted = Counter(row.reason or row.error for row in completions if row.error)
    return {str(reason): count for reason, count in counted.most_common(_MOST_ERRORS)}


def endings(completions: Sequence[Completion]) -> dict[str, dict[str, int]]:
    """How many middles ended, were cut and went wrong how: a count for each of `ENDINGS`."""
    return {
        name: dict(Counter(value for row in completions if (value := getattr(row, column))))
        for name, column in ENDINGS.items()
    }
