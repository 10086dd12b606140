"""Jobs that are run again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs_in_process import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of twelve records in three shards of one file, not run yet."""
    new = Job(tmp_path / "records", tmp_path / "out")
    new.write("a.parquet", range(12))
    return new
