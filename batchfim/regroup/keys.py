"""What records are sorted by, and where a row group ends. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

CONTENT, NONE = "content", "none"
SOURCE_FILE, SOURCE_ROW = "source_file", "source_row"  # columns that tell a row's old place
_STARTS = (256, 1024, 4096)  # bytes of a prefix, each digested
GROUP_CHARACTERS = 16  # of a key, its group
_FEWEST_ROWS, _MOST_ROWS = 32, 512  # in a row group: half of the smallest usual shard, or more


def sort_key(group: bytes | None, prefix: bytes | None, row: int) -> str:
    """A record's key: records of one group are neighbours, those that share most the nearest.

    It is short, as Ray Data holds keys as arrays of the longest: digests of the group and of ever
    longer starts of the prefix, then the row, so that a group without end can still be divided.

    Args:
        group: what makes records one group; None: the first 256 bytes of the prefix.
        prefix: what is after its first 4096 bytes differs within one file only.
        row: the record's place in its file.
    """
    starts = [(prefix or b"")[:num_bytes] for num_bytes in _STARTS]
    first = starts[0] if group is None else group
    return f"{_digest(first, GROUP_CHARACTERS)}{''.join(_digest(s, 8) for s in starts)}{row:012x}"


def _digest(data: bytes, characters: int) -> str:
    return hashlib.blake2b(data, digest_size=characters // 2).hexdigest()


def row_group_ends(groups: Sequence[str]) -> list[int]:
    """Where row groups end: between groups of records, after 32 rows or more, at most 512.

    A shard that ends with a row group then splits no group that could be kept whole: where one
    would be, the row group ends before it, if only after a few rows.

    Args:
        groups: each row's, equal ones together.
    """
    ends, start, border = [], 0, 0
    for row in range(1, len(groups) + 1):
        if row == len(groups) or groups[row] != groups[row - 1]:
            border = row
        num_rows = row - start
        if (border == row and num_rows >= _FEWEST_ROWS) or num_rows == _MOST_ROWS:
            start = border if border > start else row
            ends.append(start)
    return ends if start == len(groups) else [*ends, len(groups)]
