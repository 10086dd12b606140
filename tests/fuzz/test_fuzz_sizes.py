"""Parquet files of unusual sizes: whole jobs that end, with every row."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fuzz.small_jobs import Runner, read_here
from tests.fuzz.test_fuzz_parquet import check


def records(texts: list[str]) -> pa.Table:
    names = [f"r{row}" for row in range(len(texts))]
    columns = {"row": names, "prefix": texts, "suffix": ["\n"] * len(texts)}
    return pa.table(columns, pa.schema([(name, pa.string()) for name in columns]))


@pytest.mark.parametrize("num_groups", [0, 1, 10_000])
def test_any_number_of_row_groups(runner: Runner, tmp_path: Path, num_groups: int) -> None:
    path = tmp_path / "a.parquet"
    table = records([f"x{row} = " for row in range(num_groups)])
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table, row_group_size=1)
    outcome = runner.run(path, tmp_path / "out", "schedule.shard_rows=2048")
    check(outcome, num_groups)
    assert outcome.summary is not None


def test_empty_row_groups_between_others(runner: Runner, tmp_path: Path) -> None:
    path, table = tmp_path / "a.parquet", records(["a = ", "b = "])
    with pq.ParquetWriter(path, table.schema) as writer:
        for rows in (0, 2, 0, 1, 0):
            writer.write_table(table.slice(0, rows))
    check(runner.run(path, tmp_path / "out"), 3)
    assert runner.call(read_here, path, ["row"])["row"].to_pylist() == ["r0", "r1", "r0"]


def test_a_text_of_two_megabytes(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(records(["x = 1\n" * 300_000, "y = "]), path)
    outcome = runner.run(path, tmp_path / "out")
    check(outcome, 2)
    assert outcome.column("status") == ["ok", "ok"]


def test_a_text_of_one_line_without_end(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(records(["x" * 500_000]), path)
    check(runner.run(path, tmp_path / "out"), 1)
