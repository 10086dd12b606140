"""Cut input files into shards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from batchfim.shards import InputFile, Shard, identity

MAX_SHARD_BYTES = 32 << 20
_SHARDS_PER_WORKER = 8
_FEWEST_ROWS, _MOST_ROWS = 16, 2048


def default_shard_rows(total_rows: int, num_workers: int) -> int:
    """Rows in a shard: enough shards to balance the workers, few enough to keep them cheap."""
    wanted = total_rows // (num_workers * _SHARDS_PER_WORKER)
    return min(max(wanted, _FEWEST_ROWS), _MOST_ROWS)


def cut_shards(files: Iterable[InputFile], shard_rows: int, fingerprint: str) -> list[Shard]:
    """Shards in file and row order, at most `shard_rows` rows and about 32 MiB each.

    A shard's id is a hash of what it reads and of the job's fingerprint, so that the same work
    always has the same name, and a file that changed has new names.
    """
    shards = []
    for file in files:
        rows = max(1, min(shard_rows, int(MAX_SHARD_BYTES / max(file.row_bytes, 1.0))))
        for start in range(0, file.num_rows, rows):
            num_rows = min(rows, file.num_rows - start)
            shard_id = _shard_id(file.id, start, num_rows, fingerprint)
            shards.append(Shard(shard_id, file.id, file.content, file.path, start, num_rows))
    return shards


def halve(shard: Shard, fingerprint: str) -> tuple[Shard, Shard]:
    """Two shards that are the rows of one, the first no larger than the second.

    Args:
        shard: of at least two rows.
        fingerprint: the job's, as `cut_shards` was given it.

    Raises:
        ValueError: it is a single row.
    """
    if shard.num_rows < 2:
        raise ValueError(f"shard {shard.id} is a single row")
    half = shard.num_rows // 2
    first = _piece(shard, shard.start, half, fingerprint)
    return first, _piece(shard, shard.start + half, shard.num_rows - half, fingerprint)


def _piece(shard: Shard, start: int, num_rows: int, fingerprint: str) -> Shard:
    shard_id = _shard_id(shard.file, start, num_rows, fingerprint)
    return replace(shard, id=shard_id, start=start, num_rows=num_rows)


def _shard_id(file: str, start: int, num_rows: int, fingerprint: str) -> str:
    return identity(file, start, num_rows, fingerprint)
