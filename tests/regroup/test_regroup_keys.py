"""Keys sort groups together, and row groups end between them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.regroup.keys import row_group_ends, sort_key

ENDS = st.sampled_from([0, 1, 200, 300, 900, 2000, 5000]).map(lambda size: b"x" * size)
PREFIXES = st.tuples(ENDS, st.binary(max_size=1), ENDS).map(b"".join)
SIZES = st.lists(st.integers(1, 700), max_size=20)


@pytest.mark.parametrize("num_bytes", [256, 1024, 4096])
@given(prefixes=st.lists(PREFIXES))
def test_prefixes_that_start_alike_are_neighbours(num_bytes: int, prefixes: list[bytes]) -> None:
    ordered = sorted(prefixes, key=lambda prefix: sort_key(None, prefix, 0))
    assert num_runs(prefix[:num_bytes] for prefix in ordered) == len(
        {prefix[:num_bytes] for prefix in prefixes}
    )


@given(values=st.lists(st.tuples(st.binary(max_size=2), PREFIXES)))
def test_a_column_comes_before_the_prefix(values: list[tuple[bytes, bytes]]) -> None:
    ordered = sorted(values, key=lambda value: sort_key(*value, 0))
    assert num_runs(group for group, _ in ordered) == len({group for group, _ in values})
    assert num_runs((group, prefix[:4096]) for group, prefix in ordered) == len(
        {(group, prefix[:4096]) for group, prefix in values}
    )


def test_keys_are_of_one_length_and_those_of_equal_records_in_their_order() -> None:
    keys = [sort_key(None, prefix, row) for prefix in (None, b"", b"x" * 9999) for row in (9, 10)]
    assert len({len(key) for key in keys}) == 1
    assert keys[:2] == keys[2:4] == sorted(keys[:2])


def num_runs(values: Iterable[object]) -> int:
    return len(list(groupby(values)))


@given(sizes=SIZES)
def test_row_groups_cover_all_rows_and_split_no_group_that_fits(sizes: list[int]) -> None:
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    ends = row_group_ends(groups)
    starts = [0, *ends[:-1]] if ends else []
    assert (ends or [0])[-1] == len(groups)
    for start, end in zip(starts, ends, strict=True):
        assert 0 < end - start <= 512
        split = end < len(groups) and groups[end] == groups[end - 1]
        if split:  # a group longer than a row group, alone in this one
            assert (end - start, len(set(groups[start:end]))) == (512, 1)
        elif end < len(groups) and end - start < 32:
            assert len(groups[start:end]) + groups.count(groups[end]) > 512


def test_a_large_group_after_a_small_one_stays_whole() -> None:
    assert row_group_ends(["a"] * 20 + ["b"] * 500) == [20, 520]
