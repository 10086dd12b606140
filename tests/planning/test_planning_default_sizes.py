"""Shards nobody gave a size: of equal work, enough for all workers, small at the end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile

FILES = st.lists(
    st.builds(
        InputFile,
        path=st.uuids().map(str),
        content=st.just("aa"),
        num_rows=st.integers(0, 20_000),
        row_bytes=st.floats(0, 1e5),
    ),
    max_size=4,
)


def rows_of(files: list[InputFile], num_workers: int) -> list[int]:
    return [shard.num_rows for shard in cut_shards(files, None, "job", num_workers)]


@settings(deadline=None)
@given(files=FILES, num_workers=st.integers(1, 50))
def test_every_row_is_in_one_shard_of_bounded_size(
    files: list[InputFile], num_workers: int
) -> None:
    shards = cut_shards(files, None, "job", num_workers)
    assert cut_shards(files, None, "job", num_workers) == shards
    for file in files:
        own = [shard for shard in shards if shard.file == file.id]
        rows = [row for s in own for row in range(s.start, s.start + s.num_rows)]
        assert rows == list(range(file.num_rows))
        assert all(shard.num_rows <= 2048 for shard in own)


@pytest.mark.parametrize("num_workers", [1, 4, 30])
def test_there_are_about_32_a_worker_and_smaller_ones_at_the_end(num_workers: int) -> None:
    rows = rows_of([InputFile("a", "aa", 10_000 * num_workers, 4000.0)], num_workers)
    assert 32 * num_workers <= len(rows) <= 32 * num_workers * 1.5
    assert rows[0] == 10_000 // 32
    small = [num for num in rows if num <= rows[0] / 4]
    assert rows[-len(small) :] == small
    assert sum(small) == pytest.approx(0.1 * sum(rows), rel=0.1)


def test_a_shard_of_long_records_has_fewer_of_them() -> None:
    files = [InputFile("a", "aa", 2000, 12_000.0), InputFile("b", "bb", 20_000, 1_200.0)]
    shards = cut_shards(files, None, "job", 1)
    long, short = (next(s.num_rows for s in shards if s.path == path) for path in "ab")
    assert short == pytest.approx(10 * long, rel=0.02)


@pytest.mark.parametrize(("num_rows", "expected"), [(10, 10), (200, 50), (2000, 64), (10**7, 2048)])
def test_few_records_make_shards_that_still_fill_an_engine(num_rows: int, expected: int) -> None:
    assert rows_of([InputFile("a", "aa", num_rows, 100.0)], 1)[0] == expected
