"""The sort keys of records, and the ends of row groups. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

CONTENT = "content"  # as `planning.regroup`: by the start of the prefix
_STARTS = (256, 1024, 4096)  # starts of the prefix that go into the key, in bytes
GROUP_CHARACTERS = 16  # the start of a key, which identifies its group
_FEWEST_ROWS, _MOST_ROWS = 32, 512  # per row group: at least half of the smallest usual shard


def sort_key(group: bytes | None, prefix: bytes | None, row: int) -> str:
    """The sort key of a record: puts a group's records together, those that share most closest.

    The key is short, because Ray Data pads all keys to the longest. It consists of digests of the
    group and of ever longer starts of the prefix, then the row, so that even a huge group can be
    divided.

    Args:
        group: value that identifies the group; None: the first 256 bytes of the prefix.
        prefix: the record's prefix; records differ after its first 4096 bytes only within one file.
        row: the record's row in its file.
    """
    starts = [(prefix or b"")[:num_bytes] for num_bytes in _STARTS]
    first = starts[0] if group is None else group
    return f"{_digest(first, GROUP_CHARACTERS)}{''.join(_digest(s, 8) for s in starts)}{row:012x}"


def _digest(data: bytes, characters: int) -> str:
    return hashlib.blake2b(data, digest_size=characters // 2).hexdigest()


def row_group_ends(groups: Sequence[str]) -> list[int]:
    """The ends of row groups: between groups of records, after at least 32 and at most 512 rows.

    A shard that ends with a row group then splits no group that could be kept whole: rather than
    split one, a row group ends before it, even after only a few rows.

    Args:
        groups: the group of each row, with equal ones adjacent.
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
