"""Cut input files into shards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from batchfim.shards import InputFile, Shard, short_digest

MAX_SHARD_BYTES = 8 << 20
_SHARDS_PER_WORKER = 32
_FEWEST_ROWS = 64  # two leased shards still fill the engine of a small machine
_FEWEST_OF_FEW_ROWS = 16
_MOST_ROWS = 2048
_TAPERED = 0.1  # last share of all bytes, cut into smaller shards so that none finishes late
_TAPER = 4


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How much goes into a shard; bytes approximate tokens, of which there are about a quarter."""

    fewest_rows: int
    most_rows: int
    num_bytes: float
    taper_bytes: float = 0.0  # length of the end of the input, where shards are smaller

    def rows(self, row_bytes: float, bytes_left: float) -> int:
        tapered = bytes_left <= self.taper_bytes
        wanted = self.num_bytes / (_TAPER if tapered else 1) / row_bytes
        rows = min(max(int(wanted), self.fewest_rows), self.most_rows)
        return max(1, min(rows, int(MAX_SHARD_BYTES / row_bytes)))


def cut_shards(
    files: Iterable[InputFile], shard_rows: int | None, fingerprint: str, num_workers: int = 1
) -> list[Shard]:
    """Cut shards in file and row order, of at most `shard_rows` rows and about 8 MiB each.

    Without `shard_rows`, shards have equal bytes, are enough to balance the workers, and get
    smaller towards the end. If a row group ends in a shard's second half, the shard ends there.

    A shard's id is a hash of what it reads and of the job's fingerprint, so that the same work
    always has the same id, and a changed file gets new ids.
    """
    files = list(files)
    sizes = _by_bytes(files, num_workers) if shard_rows is None else _by_rows(shard_rows)
    bytes_left = _num_bytes(files)
    shards = []
    for file in files:
        row_bytes, start = _row_bytes(file), 0
        while start < file.num_rows:
            end = _end(file, start, sizes.rows(row_bytes, bytes_left))
            shard_id = short_digest(file.id, start, end - start, fingerprint)
            shards.append(Shard(shard_id, file.id, file.content, file.path, start, end - start))
            bytes_left -= (end - start) * row_bytes
            start = end
    return shards


def _by_rows(rows: int) -> _Sizes:
    return _Sizes(rows, rows, MAX_SHARD_BYTES)


def _by_bytes(files: Sequence[InputFile], num_workers: int) -> _Sizes:
    num_bytes, num_rows = _num_bytes(files), sum(file.num_rows for file in files)
    fewest = max(min(_FEWEST_ROWS, num_rows // (4 * num_workers)), _FEWEST_OF_FEW_ROWS)
    wanted = num_bytes / (num_workers * _SHARDS_PER_WORKER)
    return _Sizes(fewest, _MOST_ROWS, wanted, num_bytes * _TAPERED)


def _num_bytes(files: Iterable[InputFile]) -> float:
    return sum(file.num_rows * _row_bytes(file) for file in files)


def _row_bytes(file: InputFile) -> float:
    return max(file.row_bytes, 1.0)


def _end(file: InputFile, start: int, rows: int) -> int:
    end = min(start + rows, file.num_rows)
    border = bisect_right(file.group_starts, end) - 1
    if end < file.num_rows and border >= 0 and file.group_starts[border] > start + rows // 2:
        return file.group_starts[border]
    return end


def halve(shard: Shard, fingerprint: str) -> tuple[Shard, Shard]:
    """Split a shard in two, the first no larger than the second.

    Args:
        shard: a shard of at least two rows.
        fingerprint: the job's, as passed to `cut_shards`.

    Raises:
        ValueError: the shard has a single row.
    """
    if shard.num_rows < 2:
        raise ValueError(f"shard {shard.id} is a single row")
    half = shard.num_rows // 2
    first = _piece(shard, shard.start, half, fingerprint)
    return first, _piece(shard, shard.start + half, shard.num_rows - half, fingerprint)


def _piece(shard: Shard, start: int, num_rows: int, fingerprint: str) -> Shard:
    shard_id = short_digest(shard.file, start, num_rows, fingerprint)
    return replace(shard, id=shard_id, start=start, num_rows=num_rows)
