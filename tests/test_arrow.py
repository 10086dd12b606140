"""What Arrow would do by itself: import pandas, and refuse columns above 2 GiB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.arrow import take_rows


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def test_a_job_imports_no_pandas(tmp_path: Path) -> None:
    records = tmp_path / "records.parquet"
    pq.write_table(pa.table({"prefix": ["a = "], "suffix": ["\n"]}), records)
    command = f"-m batchfim run --input {records} --output {tmp_path / 'out'} --model demo"
    sets = ("engine.backend=simulated", "schedule.pool=local", "metrics.report=false")
    told = run("-X", "importtime", *command.split(), *(f"--set={one}" for one in sets))
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "pyarrow.lib" in imported
    assert "pandas.core" not in imported


def test_tables_still_become_pandas_and_come_from_it() -> None:
    script = (
        "from batchfim.arrow import skip_pandas_import; skip_pandas_import()\n"
        "import pyarrow as pa\n"
        "frame = pa.table({'a': [1.5, None]}).to_pandas()\n"
        "print(frame['a'].isna().tolist(), pa.Table.from_pandas(frame)['a'].null_count)\n"
    )
    assert run("-c", script).stdout == "[False, True] 1\n"


def test_rows_are_taken_beyond_what_one_array_holds() -> None:
    table = pa.table({"text": ["a" * (1 << 26), "b"]})
    taken = take_rows(table, [0, 1] * 33)
    assert taken.nbytes > 1 << 31
    assert taken.schema == table.schema
    assert taken["text"].chunk(0)[1].as_py() == "b"
    assert taken["text"][65].as_py() == "b"
    assert taken.num_rows == 66


def test_rows_are_taken_of_dictionaries_that_do_not_fit_into_one() -> None:
    indices = pa.array(range(100), pa.int8())
    columns = [
        pa.DictionaryArray.from_arrays(indices, [f"{letter}{i}" for i in range(100)])
        for letter in "ab"
    ]
    table = pa.table({"text": pa.chunked_array(columns)})
    assert take_rows(table, [101, 3, 199])["text"].to_pylist() == ["b1", "a3", "b99"]
    assert take_rows(table, []).num_rows == 0
