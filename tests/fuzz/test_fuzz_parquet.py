"""Whatever a Parquet file holds: every row comes out once, or one of our errors says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given

from tests.fuzz.damage import Damage, damages
from tests.fuzz.effort import examples
from tests.fuzz.small_jobs import Outcome, Runner, read_here
from tests.fuzz.tables import layouts, parquet, tables

OURS = ("ConfigError", "InputError", "OutputError", "StorageError", "JobFailed")


def check(outcome: Outcome, num_rows: int) -> None:
    """No foreign error, not even as the cause of ours, and every count right."""
    assert not outcome.traceback, outcome.traceback
    if outcome.summary is None:
        assert outcome.error.startswith(OURS)
        assert not outcome.error.startswith("JobFailed") or "cannot be read" in outcome.error, (
            outcome
        )
    else:
        counts = outcome.summary["rows"]
        assert counts["rows"] == len(outcome.column("status")) == num_rows
        assert outcome.summary["records"] == num_rows
        for status in ("ok", "rejected", "failed"):
            assert counts[status] == outcome.column("status").count(status)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def footer(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") :]


def plain(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: int(row["row"][1:]))


@examples(30)
@given(tables(), layouts())
def test_every_row_of_every_kind_of_file_comes_out_once(
    runner: Runner, table: pa.Table, layout: dict[str, Any]
) -> None:
    outcome = runner.run_bytes(parquet(table, **layout))
    check(outcome, table.num_rows)
    if outcome.summary is not None:
        out = sorted(outcome.rows, key=lambda row: int(row["row"][1:]))
        assert [{name: row[name] for name in table.column_names} for row in out] == plain(table)
        texts = zip(*(table[name].to_pylist() for name in ("prefix", "suffix")), strict=True)
        assert [row["status"] for row in out] == [
            "rejected" if None in pair else "ok" for pair in texts
        ]
    else:
        assert "InputError" in outcome.error


@examples(50)
@given(tables(), layouts(), damages())
def test_a_damaged_file_loses_no_row_unseen(
    runner: Runner, table: pa.Table, layout: dict[str, Any], damage: Damage
) -> None:
    check(runner.run_bytes(damage(parquet(table, **layout))), table.num_rows)


@examples(400)
@given(tables(), layouts(), damages())
def test_what_is_read_of_a_damaged_file_is_what_was_written_or_an_error(
    runner: Runner, folder: Path, table: pa.Table, layout: dict[str, Any], damage: Damage
) -> None:
    path = folder / "a.parquet"
    whole = parquet(table, **layout)
    path.write_bytes(damage(whole))
    found = runner.call(read_here, path, ["prefix", "row"])
    if isinstance(found, str):
        assert found.startswith(str(path))
    else:
        assert found.num_rows == table.num_rows
        checked = layout["write_page_checksum"] and footer(path.read_bytes()) == footer(whole)
        if checked and found.num_rows:
            assert found["row"].equals(table["row"])
