"""Whatever the ledger's files hold: the next run ends with every row once, or with our error.

Any file below `_batchfim` may be damaged, by whatever name: the ledger's layout may change.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.storage.job_lease import _machine
from tests.fuzz.damage import Damage, damages
from tests.fuzz.effort import examples
from tests.fuzz.small_jobs import Runner

ROWS = 12
OURS = ("ConfigError", "InputError", "OutputError", "StorageError", "JobFailed", "JobHeld")
ODD = st.sampled_from(
    [None, True, -1, 0, 10**18, 10**30, 1.5, "", "../x", "x" * 1000, [], {}, [[1]], {"a": {}}]
)


@pytest.fixture(scope="module")
def job(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with records and the output of a complete job."""
    folder = tmp_path_factory.mktemp("ledger")
    texts = [f"x{row} = " for row in range(ROWS)]
    names = [f"r{row}" for row in range(ROWS)]
    table = pa.table({"row": names, "prefix": texts, "suffix": ["\n"] * ROWS})
    pq.write_table(table, folder / "records.parquet")
    assert runner.run(folder / "records.parquet", folder / "out").summary
    claim = {"host": "x", "machine": _machine(), "pid": 1 << 22, "started_s": 0.0, "held": True}
    claim["lease_s"] = 2  # of another machine, it would be waited out
    (folder / "out" / "_batchfim" / "lease" / "0.json").write_text(json.dumps(claim))
    return folder


def rerun(runner: Runner, job: Path, number: int, damage: Damage) -> None:
    """Damage one file of the ledger, then run again and check what came out."""
    output = job / "damaged"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(job / "out", output)
    files = sorted(path for path in (output / "_batchfim").rglob("*") if path.is_file())
    damaged = files[number % len(files)]
    damaged.write_bytes(damage(damaged.read_bytes()))
    outcome = runner.run(job / "records.parquet", output)
    assert not outcome.traceback, f"{damaged.relative_to(output)}: {outcome.traceback}"
    if outcome.summary is None:
        assert outcome.error.startswith(OURS), (damaged, outcome.error)
    else:
        counts = outcome.summary["rows"]
        assert sorted(outcome.column("row")) == sorted(f"r{row}" for row in range(ROWS)), damaged
        assert (counts["rows"], counts["ok"]) == (ROWS, ROWS), (damaged, counts)
        assert outcome.summary["records"] == ROWS, damaged


@examples(25)
@given(st.integers(0, 50), damages())
def test_damaged_bytes(runner: Runner, job: Path, number: int, damage: Damage) -> None:
    rerun(runner, job, number, damage)


@st.composite
def _odd_values(draw: st.DrawFn) -> Damage:
    """One value anywhere in a JSON document is another, or goes, or comes; as for Parquet rows."""
    steps, value = draw(st.lists(st.integers(0, 30), max_size=3)), draw(ODD)
    change = draw(st.sampled_from(["set", "drop", "add"]))

    def damage(data: bytes) -> bytes:
        if data[:4] == b"PAR1":
            return _odd_rows(data, steps, value, change)
        try:
            tree = json.loads(data)
        except ValueError:
            return data
        return json.dumps(_changed(tree, steps, value, change)).encode()

    return damage


def _changed(tree: Any, steps: list[int], value: Any, change: str) -> Any:
    if not steps or not isinstance(tree, dict | list) or not tree:
        return value
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = list(keys)[steps[0] % len(tree)]
    if len(steps) > 1 and isinstance(tree[key], dict | list):
        tree[key] = _changed(tree[key], steps[1:], value, change)
    elif change == "drop":
        del tree[key]
    elif change == "add" and isinstance(tree, dict):
        tree["unknown"] = value
    else:
        tree[key] = value
    return tree


def _odd_rows(data: bytes, steps: list[int], value: Any, change: str) -> bytes:
    """A plan, or segment, with a column gone, a row gone or twice, or numbers that cannot be."""
    table = pq.read_table(pa.BufferReader(data))
    column = table.column_names[sum(steps) % table.num_columns]
    if change == "drop":
        table = table.drop_columns([column]) if steps else table.slice(1)
    elif change == "add":
        table = pa.concat_tables([table, table.slice(0, 1)])
    elif isinstance(value, int) and abs(value) < 2**63:
        place = table.column_names.index(column)
        odd = pa.array([value] * table.num_rows, pa.int64())
        table = table.set_column(place, column, odd)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


@examples(40)
@given(st.integers(0, 50), _odd_values())
def test_odd_values(runner: Runner, job: Path, number: int, damage: Damage) -> None:
    rerun(runner, job, number, damage)


@pytest.mark.parametrize("version", [0, 2, 4, "3", None])
def test_a_ledger_of_another_version_is_refused(runner: Runner, job: Path, version: Any) -> None:
    output = job / "version"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(job / "out", output)
    path = output / "_batchfim" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": version}))
    assert "of this batchfim version" in runner.run(job / "records.parquet", output).error
