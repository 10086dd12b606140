"""What records are sorted by, and where a row group ends. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

CONTENT, NONE = "content", "none"
SOURCE_FILE, SOURCE_ROW = "source_file", "source_row"  # columns that tell a row's old place
_GROUP_BYTES = 256
_START_BYTES = 4096
GROUP_CHARACTERS = 16  # of a key, its group
_FEWEST_ROWS, _MOST_ROWS = 32, 512  # in a row group: half of the smallest usual shard, or more


def sort_key(group: bytes | None, prefix: bytes | None) -> str:
    """A record's key: records of one group are neighbours, those that share most the nearest.

    Args:
        group: what makes records one group; None: the first 256 bytes of the prefix.
        prefix: only its first 4096 bytes are looked at; what follows differs within one file.
    """
    start = (prefix or b"")[:_START_BYTES]
    digest = hashlib.blake2b(
        start[:_GROUP_BYTES] if group is None else group, digest_size=GROUP_CHARACTERS // 2
    )
    return digest.hexdigest() + start.decode("latin-1")  # in which texts sort as their bytes do


def row_group_ends(groups: Sequence[str]) -> list[int]:
    """Where row groups end: between groups of records, after 32 rows or more, at most 512.

    A shard that ends with a row group then splits no group that could be kept whole.

    Args:
        groups: each row's, equal ones together.
    """
    ends, start = [], 0
    for row in range(1, len(groups) + 1):
        is_border = row == len(groups) or groups[row] != groups[row - 1]
        num_rows = row - start
        if (is_border and num_rows >= _FEWEST_ROWS) or num_rows == _MOST_ROWS:
            ends.append(row)
            start = row
    return ends if start == len(groups) else [*ends, len(groups)]
