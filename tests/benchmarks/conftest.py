"""Records to compare models with."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Twenty small records with references."""
    path = tmp_path / "records.parquet"
    columns = {
        "id": [f"r{row}" for row in range(20)],
        "prefix": [f"def f{row}(x):\n    return " for row in range(20)],
        "suffix": [f"\n\nprint(f{row}(1))\n" for row in range(20)],
        "middle_reference": [f"x + {row}" for row in range(20)],
    }
    pq.write_table(pa.table(columns), path)
    return path
