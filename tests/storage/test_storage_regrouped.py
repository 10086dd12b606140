"""Which input files a regrouped copy holds, wherever they lie today."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchfim.errors import InputError
from batchfim.shards import InputFile
from batchfim.storage.regrouped import CopyMarker, Source, compared

A = InputFile("/data/a.parquet", "aa", 10, 1.0)
B = InputFile("/data/b.parquet", "bb", 10, 1.0)
MOVED = replace(A, path="/moved/a.parquet")
CHANGED = replace(A, content="cc")


def marker(*files: InputFile) -> CopyMarker:
    sources = tuple(Source(id=f.id, path=f.path, content=f.content) for f in files)
    return CopyMarker(num_rows=10 * len(files), sources=sources)


def test_at_first_every_file_is_new_and_then_none() -> None:
    assert compared([A, B], []) == ([A, B], [])
    assert compared([A, B], [marker(A), marker(B)]) == ([], [])


def test_a_file_that_came_later_is_new() -> None:
    assert compared([A, B], [marker(A)]) == ([B], [])


def test_a_file_that_is_gone_stays_in_its_copy() -> None:
    assert compared([B], [marker(A, B)]) == ([], [A.path])


def test_a_moved_file_is_the_one_it_was_and_its_twin_is_not() -> None:
    assert compared([MOVED], [marker(A)]) == ([], [])
    assert compared([A, MOVED], [marker(A)]) == ([MOVED], [])


def test_another_file_in_the_place_of_a_moved_one_is_new() -> None:
    assert compared([MOVED, CHANGED], [marker(A)]) == ([CHANGED], [])


def test_a_changed_file_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"/data/a\.parquet has changed since .* regrouped"):
        compared([CHANGED, B], [marker(A, B)])
