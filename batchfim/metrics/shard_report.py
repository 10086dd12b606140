"""The report of a finished shard, sent by its worker and stored as the shard's marker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from batchfim.metrics.histogram import Histogram
from batchfim.records import Completion, Status

PHASES = ("read_s", "encode_s", "generate_s", "write_s")
TIMINGS = ("queue_s", "ttft_s", "tpot_s", "latency_s")
SIZES = ("prompt_tokens", "completion_tokens")
# Keys of reports and the summary; each counts the values of the output column named here.
ENDINGS = {
    "orders": "order",
    "finish_reasons": "finish_reason",
    "stop_rules": "stop_rule",
    "trim_rules": "trim_rule",
    "degenerate": "degenerate",
}
OTHER_CAUSES = "other causes"
_MOST_ERRORS = 20
_NUMBER = re.compile(r"(?<![\w-])\d+\b")  # except in names, such as `f7` and `UTF-8`
Count = Annotated[int, Field(ge=0, le=2**53)]


class Counts(BaseModel):
    """Counts of rows and tokens over some output rows; counts add up.

    All prompt tokens of `copied` rows count as cached. `completion_tokens` and `kept_tokens` count
    generated tokens, so copies add nothing to them. Tokens that were computed again after
    `preemptions` are counted once. `drafted_tokens` and `accepted_tokens` are the engine's since
    the worker's last report, for any rows; in a retried shard they are those of the retry.
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
        """Prompt tokens that the engine had to compute."""
        return self.prompt_tokens - self.cached_tokens

    @property
    def done(self) -> int:
        """Finished rows, which excludes failed ones."""
        return self.ok + self.rejected

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> Counts:
        """The counts of some output rows."""
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
        return cls(**dict(zip(cls.model_fields, totals, strict=False)))  # without parts, all are 0


_COUNTS = attrgetter(*Counts.model_fields)


class Retried(BaseModel):
    """What a retry itself processed, in a part whose other rows already existed.

    `attempt` is the attempt of its rows, `timings` their sums in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: Count
    counts: Counts
    attempt: Annotated[int, Field(ge=0, lt=2**31)]
    timings: dict[str, float]

    @classmethod
    def of(
        cls,
        samples: Sequence[Completion],
        drafted: Mapping[str, int],
        *,
        records: int,
        attempt: int,
    ) -> Retried:
        """What a retry made; for `drafted`, see `sample_fields`."""
        return cls(
            records=records,
            counts=_counts(samples, drafted),
            attempt=attempt,
            timings={name: told.total for name, told in timings(samples).items()},
        )


class ShardReport(BaseModel):
    """A shard's report: what its part holds and how long each phase took.

    `run` is the run that processed it, `started_at` when the worker began to read its rows, in
    seconds since 1970 by the worker's clock. The phases follow one another from there; `encode_s`
    includes the wait for the encoder, which takes one shard at a time.
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


def sample_fields(samples: Sequence[Completion], drafted: Mapping[str, int]) -> dict[str, Any]:
    """The fields of a report that follow from the samples in its part.

    Args:
        samples: the samples.
        drafted: the drafted and accepted tokens, which no sample tells.
    """
    return {
        "counts": _counts(samples, drafted),
        **endings(samples),
        "errors": errors(samples),
        "timings": timings(samples),
        "sizes": sizes(samples),
    }


def _counts(samples: Sequence[Completion], drafted: Mapping[str, int]) -> Counts:
    return Counts.of(samples).model_copy(update=drafted)


def timings(completions: Sequence[Completion]) -> dict[str, Histogram]:
    """Histograms of the four timings."""
    return {
        name: Histogram.of(
            value for row in completions if (value := getattr(row, name)) is not None
        )
        for name in TIMINGS
    }


def sizes(completions: Sequence[Completion]) -> dict[str, Histogram]:
    """Histograms of prompt and completion tokens per generated row that has a middle."""
    asked = [row for row in completions if row.status is Status.OK and not row.copied]
    return {name: Histogram.of(getattr(row, name) for row in asked) for name in SIZES}


def errors(completions: Sequence[Completion]) -> dict[str, int]:
    """The most frequent causes of errors, without their places, and the number of rows of each."""
    counted = Counter(cause(row.reason or row.error) for row in completions if row.error)
    return most_common(counted, _MOST_ERRORS)


def most_common(causes: Mapping[str, int], most: int) -> dict[str, int]:
    """The `most` most frequent causes, with the rows of all others under `OTHER_CAUSES`."""
    ranked = Counter(causes)
    other = ranked.pop(OTHER_CAUSES, 0)
    kept = dict(ranked.most_common(most))
    other += ranked.total() - sum(kept.values())
    return kept | ({OTHER_CAUSES: other} if other else {})


def cause(error: str) -> str:
    """The cause under which an error is counted: with N for each number, as numbers vary by row."""
    return _NUMBER.sub("N", error)


def endings(completions: Sequence[Completion]) -> dict[str, dict[str, int]]:
    """Counts of rows with a middle by order, finish reason and the other keys of `ENDINGS`."""
    ok = [row for row in completions if row.status is Status.OK]
    return {
        name: dict(Counter(value for row in ok if (value := getattr(row, column))))
        for name, column in ENDINGS.items()
    }
