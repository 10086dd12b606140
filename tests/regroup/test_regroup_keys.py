"""Keys sort groups together, and row groups end between them."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from batchfim.regroup.keys import GROUP_CHARACTERS, row_group_ends, sort_key

PREFIXES = st.binary(max_size=12) | st.binary(max_size=4).map(lambda end: b"x" * 300 + end)
SIZES = st.lists(st.integers(1, 700), max_size=20)


@given(prefixes=st.lists(PREFIXES))
def test_prefixes_that_start_alike_are_neighbours_in_their_own_order(prefixes: list[bytes]) -> None:
    ordered = sorted(prefixes, key=lambda prefix: sort_key(None, prefix))
    groups = [list(group) for _, group in groupby(ordered, key=lambda prefix: prefix[:256])]
    assert len(groups) == len({prefix[:256] for prefix in prefixes})
    assert all(group == sorted(group) for group in groups)


@given(values=st.lists(st.tuples(st.binary(max_size=2), PREFIXES)))
def test_a_column_comes_before_the_prefix(values: list[tuple[bytes, bytes]]) -> None:
    ordered = sorted(values, key=lambda value: sort_key(*value))
    groups = [list(group) for _, group in groupby(ordered, key=lambda value: value[0])]
    assert len(groups) == len({group for group, _ in values})
    assert all(group == sorted(group) for group in groups)


def test_a_key_is_bounded_and_a_null_is_an_empty_prefix() -> None:
    assert len(sort_key(None, b"x" * 10_000)) == GROUP_CHARACTERS + 4096
    assert sort_key(None, None) == sort_key(None, b"")


@given(sizes=SIZES)
def test_row_groups_cover_all_rows_and_split_no_group_that_fits(sizes: list[int]) -> None:
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    ends = row_group_ends(groups)
    starts = [0, *ends[:-1]]
    assert (ends or [0])[-1] == len(groups)
    assert all(0 < end - start <= 512 for start, end in zip(starts, ends, strict=bool(ends)))
    for start, end in zip(starts, ends, strict=bool(ends)):
        if end < len(groups) and groups[end] == groups[end - 1]:
            assert end - start == 512  # a group longer than what is left of the row group
        elif end < len(groups):
            assert end - start >= 32
