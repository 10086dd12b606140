"""A job on a file system that only fsspec knows."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as ds

from tests.e2e.conftest import LOCAL, Cli


def test_input_and_output_by_a_scheme_of_fsspec(records: Path, tmp_path: Path, cli: Cli) -> None:
    output = tmp_path / "out"
    args = ("--input", f"local://{records}", "--output", f"local://{output}", "--model", "demo")
    cli("run", *args, *LOCAL)
    rows = ds.dataset(output).to_table()
    assert sorted(rows["id"].to_pylist()) == sorted(f"r{row}" for row in range(200))
    assert "results: local://" in cli("run", *args, *LOCAL).stdout
