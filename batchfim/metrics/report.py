"""What a worker tells of a finished shard; stored as the shard's marker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from batchfim.metrics.histogram import Histogram
from batchfim.records import Completion, Status

PHASES = ("read_s", "encode_s", "generate_s", "write_s")
TIMINGS = ("queue_s", "ttft_s", "tpot_s", "latency_s")
SIZES = ("prompt_tokens", "completion_tokens")
# Of a report and of the summary, each the values of one output column and how often each occurs.
ENDINGS = {
    "orders": "order",
    "finish_reasons": "finish_reason",
    "stop_rules": "stop_rule",
    "trim_rules": "trim_rule",
    "degenerate": "degenerate",
}
OTHER_CAUSES = "other causes"
_MOST_ERRORS = 20
_NUMBER = re.compile(r"(?<![\w-])\d+\b")  # but for those of names, as in `f7` and `UTF-8`
Count = Annotated[int, Field(ge=0, le=2**53)]


class Counts(BaseModel):
    """Rows and tokens of some output rows; counts add up.

    `copied` rows' prompt tokens all count as cached; `completion_tokens` and `kept_tokens` are of
    what was generated, so copies add nothing to them. What a sample had computed before one of its
    `preemptions` was computed again, and is counted once. `drafted_tokens` and `accepted_tokens`
    are the engine's since the worker's last report, of whatever rows; a retried shard's are those
    of the retry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Count = 0
    ok: Count = 0
    rejected: Count = 0
    failed: Count = 0
    truncated: Count = 0
    normalized: Count = 0
    copied: Count = 0
    prompt_tokens: Count = 0
    cached_tokens: Count = 0
    completion_tokens: Count = 0
    kept_tokens: Count = 0
    preemptions: Count = 0
    drafted_tokens: Count = 0
    accepted_tokens: Count = 0

    @property
    def computed_tokens(self) -> int:
        """Prompt tokens the engine had to compute."""
        return self.prompt_tokens - self.cached_tokens

    @property
    def done(self) -> int:
        """Rows that are finished; a failed one is not."""
        return self.ok + self.rejected

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> Counts:
        """Count output rows."""
        by_status = Counter(row.status for row in completions)
        generated = [row for row in completions if not row.copied]
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
            normalized=sum(row.normalized for row in completions),
            copied=len(completions) - len(generated),
            prompt_tokens=sum(row.prompt_tokens for row in completions),
            cached_tokens=sum(row.cached_tokens for row in completions),
            completion_tokens=sum(row.completion_tokens for row in generated),
            kept_tokens=sum(row.kept_tokens for row in generated),
            preemptions=sum(row.num_preemptions for row in completions),
        )

    @classmethod
    def sum(cls, parts: Iterable[Counts]) -> Counts:
        """The sum of several counts."""
        totals = [sum(values) for values in zip(*map(_COUNTS, parts), strict=True)]
        return cls(**dict(zip(cls.model_fields, totals, strict=False)))  # of no parts, all are 0


_COUNTS = attrgetter(*Counts.model_fields)


class Retried(BaseModel):
    """What a retry worked itself, in a part whose other rows were there already.

    `attempt` is that of its rows, `timings` their sums in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: Count
    counts: Counts
    attempt: Annotated[int, Field(ge=0, lt=2**31)]
    timings: dict[str, float]


class ShardReport(BaseModel):
    """A shard's accounts: what its part holds and how long it took, phase by phase.

    `run` is the run that worked it, `started_at` when it began to read its rows, in seconds since
    1970 by the worker's clock; the phases follow one another from there, and `encode_s` begins with
    the wait for the encoder, which has one shard at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_id: str
    attempt: Annotated[int, Field(ge=0, lt=2**31)]
    run: str = ""
    worker: str
    started_at: Annotated[float, Field(ge=0, lt=2**40)] = 0.0
    records: Count
    counts: Counts
    retried: Retried | None = None
    orders: dict[str, int] = {}
    finish_reasons: dict[str, int]
    stop_rules: dict[str, int] = {}
    trim_rules: dict[str, int] = {}
    degenerate: dict[str, int] = {}
    errors: dict[str, int]
    timings: dict[str, Histogram]
    sizes: dict[str, Histogram] = {}
    checksum: str
    size_bytes: Count
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


def sizes(completions: Sequence[Completion]) -> dict[str, Histogram]:
    """Histograms of tokens a row: of prompts, and of what was generated for rows with a middle."""
    asked = [row for row in completions if row.status is Status.OK and not row.copied]
    return {name: Histogram.of(getattr(row, name) for row in asked) for name in SIZES}


def errors(completions: Sequence[Completion]) -> dict[str, int]:
    """The most frequent causes of errors, without the place, and the rows of each."""
    counted = Counter(cause(row.reason or row.error) for row in completions if row.error)
    return most_common(counted, _MOST_ERRORS)


def most_common(causes: Mapping[str, int], most: int) -> dict[str, int]:
    """So many causes of the most rows, then the rows of all others as `OTHER_CAUSES`."""
    ranked = Counter(causes)
    other = ranked.pop(OTHER_CAUSES, 0)
    kept = dict(ranked.most_common(most))
    other += ranked.total() - sum(kept.values())
    return kept | ({OTHER_CAUSES: other} if other else {})


def cause(error: str) -> str:
    """An error as it is counted: with N for each number, as rows have numbers of their own."""
    return _NUMBER.sub("N", error)


def endings(completions: Sequence[Completion]) -> dict[str, dict[str, int]]:
    """How many rows with a middle were asked in which order, ended how and so on: `ENDINGS`."""
    ok = [row for row in completions if row.status is Status.OK]
    return {
        name: dict(Counter(value for row in ok if (value := getattr(row, column))))
        for name, column in ENDINGS.items()
    }
