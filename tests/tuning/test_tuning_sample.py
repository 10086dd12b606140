"""Samples keep neighbours together and are the same for the same seed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from batchfim.config import Input
from batchfim.shards import InputFile
from batchfim.storage.inputs import open_inputs
from batchfim.storage.location import Location
from batchfim.tuning.sample import choose_blocks, write_sample


@given(
    sizes=st.lists(st.integers(0, 450), min_size=1, max_size=5),
    wanted=st.integers(1, 1500),
    seed=st.integers(0, 9),
)
def test_as_many_rows_as_asked_for_none_twice(sizes: list[int], wanted: int, seed: int) -> None:
    files = [InputFile(f"f{i}", f"c{i}", size, 1.0) for i, size in enumerate(sizes)]
    blocks = choose_blocks(files, wanted, seed)
    rows = [(file.path, row) for file, start, size in blocks for row in range(start, start + size)]
    assert len(rows) == len(set(rows)) == min(wanted, sum(sizes))
    assert rows == sorted(rows)
    assert all(row < int(sizes[int(path[1:])]) for path, row in rows)
    assert blocks == choose_blocks(files, wanted, seed)


def test_the_rows_are_the_inputs_own(tmp_path: Path) -> None:
    table = pa.table({"prefix": [f"p{i}" for i in range(500)], "suffix": ["s"] * 500})
    pq.write_table(table, tmp_path / "in.parquet")
    section = Input(paths=(str(tmp_path / "in.parquet"),))
    target = tmp_path / "sample.parquet"
    assert write_sample(section, open_inputs(section), 250, 3, Location.of(str(target))) == 250
    found = pq.read_table(target)["prefix"].to_pylist()
    numbers = [int(text[1:]) for text in found]
    assert numbers == sorted(numbers)
    assert sum(b - a != 1 for a, b in pairwise(numbers)) <= 2
