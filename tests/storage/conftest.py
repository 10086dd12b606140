"""Parquet files and ledgers on real disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a Parquet file of records below the test's folder; columns may be given."""

    def write_file(name: str = "a.parquet", num_rows: int = 3, **columns: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = {"prefix": [f"p{i}" for i in range(num_rows)], "suffix": ["s"] * num_rows}
        pq.write_table(pa.table(texts | columns), path)
        return path

    return write_file


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    prepared = Ledger.at(str(tmp_path / "out"))
    prepared.prepare()
    return prepared


@pytest.fixture
def folder(tmp_path: Path) -> Location:
    return Location.of(str(tmp_path))
