"""Samples keep neighbours together and are the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

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


def test_every_block_is_drawn_as_often_as_any_other() -> None:
    files = [InputFile("a", "a", 250, 1.0), InputFile("b", "b", 100, 1.0)]
    drawn = Counter(choose_blocks(files, 50, seed)[0] for seed in range(1000))
    assert len(drawn) == 4
    assert all(200 < count < 300 for count in drawn.values())


def test_an_input_of_any_size_is_drawn_from() -> None:
    """No list of its blocks would fit any memory."""
    files = [InputFile(name, name, 10**15, 1.0) for name in "abc"]
    assert len(choose_blocks(files, 1000, 0)) == 10


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


def sample(tmp_path: Path, **section: Any) -> pa.Table:
    """All rows of the files in a folder."""
    read = Input(paths=(str(tmp_path / "in"),), **section)
    target = tmp_path / "sample.parquet"
    write_sample(read, open_inputs(read), 1000, 0, Location.of(str(target)))
    found = open_inputs(read.model_copy(update={"paths": (str(target),)}))
    assert found.language_columns == open_inputs(read).language_columns
    return pq.read_table(target)


def write(tmp_path: Path, name: str, *columns: tuple[str, pa.Array]) -> None:
    (tmp_path / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table(dict(columns)), tmp_path / "in" / name)


def test_what_tells_a_records_language_comes_along(tmp_path: Path) -> None:
    text = pa.array(["a"])
    write(tmp_path, "a.parquet", *((name, text) for name in ("prefix", "suffix", "id", "path")))
    assert sample(tmp_path, keep=("id",)).column_names == ["id", "path", "prefix", "suffix"]


def test_columns_that_do_not_ride_along_may_differ_from_file_to_file(tmp_path: Path) -> None:
    texts = pa.array(["a", "b", "a"])
    kinds = [
        texts,
        texts.cast(pa.large_string()),
        texts.dictionary_encode(),
        pa.array([b"a", b"\xff", None]),
    ]
    for first in range(len(kinds)):
        for number, kind in enumerate([kinds[first], *kinds]):
            columns = [("prefix", kind), ("id", texts), ("suffix", texts)]
            write(tmp_path, f"{number}.parquet", *columns[:: -1 if number % 2 else 1])
        found = sample(tmp_path, keep=("id",))["prefix"].cast(pa.large_binary()).to_pylist()
        assert Counter(found[3:]) == {b"a": 7, b"b": 3, b"\xff": 1, None: 1}
