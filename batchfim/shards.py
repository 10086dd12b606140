"""The unit of work: a shard, its input file, and the lease under which it is processed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InputFile:
    """One Parquet file as seen by the plan."""

    path: str
    content: str  # identity of the file's content, independent of its path
    num_rows: int
    row_bytes: float  # uncompressed, on average
    # First row of each row group; there may be many.
    group_starts: Sequence[int] = field(default=(), compare=False)
    written_at: datetime | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """Identity of the file's content at its path."""
        return short_digest(self.path, self.content)


@dataclass(frozen=True, slots=True)
class Shard:
    """A contiguous row range of one input file, leased, retried, committed and counted as one."""

    id: str
    file: str  # id of the input file
    content: str  # of the input file
    path: str
    start: int
    num_rows: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard given to a worker for one attempt.

    `failure` is set when the shard has used up one of its budgets: its rows are then written as
    failed, with this text as their error, without calling the engine.
    """

    shard: Shard
    attempt: int
    failure: str | None = None


def short_digest(*parts: object) -> str:
    """A 20-character hex digest of some values, the same in every process."""
    text = "\n".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
