"""The unit of work: a shard, its input file, and the lease under which it is processed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class SeenFiles:
    """What a run saw of planned files that are not, or were not always, where they were planned.

    Attributes:
        moved: where each file that ever moved was last seen, by file id.
        absent: ids of files that are no longer in the input.
        superseded: ids of files that are not in the input either, since other content has taken
            their place; their finished work is withdrawn, and nobody misses the rest.
    """

    moved: dict[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    superseded: frozenset[str] = frozenset()

    def placed(self, shards: Sequence[Shard]) -> Sequence[Shard]:
        """The shards, each with the path where its file was last seen."""
        if not self.moved:
            return shards
        places = ((shard, self.moved.get(shard.file, shard.path)) for shard in shards)
        return [s if s.path == path else replace(s, path=path) for s, path in places]


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
