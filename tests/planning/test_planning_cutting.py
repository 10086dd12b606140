"""Shards cover every row of every file once, under names that only their content decides."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.planning.cutting import MAX_SHARD_BYTES, cut_shards, halve
from batchfim.shards import InputFile

FILES = st.lists(
    st.builds(
        InputFile,
        path=st.uuids().map(lambda unique: f"/data/{unique}.parquet"),
        content=st.sampled_from(["aa", "bb"]),
        num_rows=st.integers(0, 5000),
        row_bytes=st.floats(0, 4 * MAX_SHARD_BYTES),
    ),
    max_size=4,
)
A_FILE = InputFile("/data/a.parquet", "aa", 100, 10.0)


@settings(deadline=None)
@given(files=FILES, shard_rows=st.integers(50, 6000))
def test_every_row_is_in_one_shard_in_order(files: list[InputFile], shard_rows: int) -> None:
    shards = cut_shards(files, shard_rows, "job")
    for file in files:
        own = [shard for shard in shards if shard.file == file.id]
        rows = [row for s in own for row in range(s.start, s.start + s.num_rows)]
        assert rows == list(range(file.num_rows))
        assert {(shard.path, shard.content) for shard in own} <= {(file.path, file.content)}
    assert sum(shard.num_rows for shard in shards) == sum(file.num_rows for file in files)


@settings(deadline=None)
@given(files=FILES, shard_rows=st.integers(50, 6000))
def test_shards_are_bounded_by_rows_and_bytes(files: list[InputFile], shard_rows: int) -> None:
    row_bytes = {file.id: file.row_bytes for file in files}
    for shard in cut_shards(files, shard_rows, "job"):
        assert 1 <= shard.num_rows <= shard_rows
        if shard.num_rows > 1:
            assert shard.num_rows * row_bytes[shard.file] <= MAX_SHARD_BYTES


@settings(deadline=None)
@given(files=FILES, shard_rows=st.integers(50, 6000))
def test_names_are_stable_and_distinct(files: list[InputFile], shard_rows: int) -> None:
    shards = cut_shards(files, shard_rows, "job")
    assert len({shard.id for shard in shards}) == len(shards)
    assert cut_shards(files, shard_rows, "job") == shards
    backwards = cut_shards(files[::-1], shard_rows, "job")
    assert {shard.id for shard in backwards} == {shard.id for shard in shards}


def test_a_name_is_the_same_in_every_version() -> None:
    """A changed hash would make every unfinished job start again."""
    (shard,) = cut_shards([A_FILE], 100, "job")
    assert (shard.file, shard.id) == ("e11c0d2333b4e6d2e6d0", "2add6580704122ad9def")


def test_a_name_follows_content_rows_and_job() -> None:
    base = {shard.id for shard in cut_shards([A_FILE], 50, "job")}
    for change in ({"path": "/data/b.parquet"}, {"content": "bb"}):
        assert base.isdisjoint(s.id for s in cut_shards([replace(A_FILE, **change)], 50, "job"))
    assert base.isdisjoint(shard.id for shard in cut_shards([A_FILE], 50, "other job"))
    assert base.isdisjoint(shard.id for shard in cut_shards([A_FILE], 40, "job"))


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 500), min_size=1, max_size=30), shard_rows=st.integers(1, 2000)
)
def test_a_shard_ends_at_a_row_group_where_that_costs_less_than_half_of_it(
    sizes: list[int], shard_rows: int
) -> None:
    starts = tuple(accumulate(sizes[:-1], initial=0))
    file = replace(A_FILE, num_rows=sum(sizes), group_starts=starts)
    shards = cut_shards([file], shard_rows, "job")
    assert sum(shard.num_rows for shard in shards) == file.num_rows
    for shard in shards[:-1]:
        end = shard.start + shard.num_rows
        if end not in starts:
            assert shard.num_rows == shard_rows
            assert not any(shard.start + shard_rows // 2 < start <= end for start in starts)


@given(start=st.integers(0, 10**6), num_rows=st.integers(2, 5000))
def test_halves_are_the_rows_of_their_whole_and_named_as_if_cut_so(
    start: int, num_rows: int
) -> None:
    (whole,) = cut_shards([replace(A_FILE, num_rows=num_rows)], num_rows, "job")
    first, second = halve(replace(whole, start=start), "job")
    assert (first.start, first.num_rows) == (start, num_rows // 2)
    assert (second.start, second.num_rows) == (start + first.num_rows, num_rows - num_rows // 2)
    assert len({whole.id, first.id, second.id}) == 3


def test_halves_have_the_names_that_cutting_gives_these_rows() -> None:
    (whole,) = cut_shards([A_FILE], 100, "job")
    assert list(halve(whole, "job")) == cut_shards([A_FILE], 50, "job")


def test_a_single_row_has_no_halves() -> None:
    (row,) = cut_shards([replace(A_FILE, num_rows=1)], 1, "job")
    with pytest.raises(ValueError, match="single row"):
        halve(row, "job")


def test_a_row_group_that_ends_early_cuts_no_shard_short() -> None:
    file = InputFile("/a.parquet", "aa", 300, 10.0, [0, 10, 160])
    assert [shard.num_rows for shard in cut_shards([file], 100, "job")] == [100, 60, 100, 40]
