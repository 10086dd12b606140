"""A finished job that grows and is killed in the middle of it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.conftest import LOCAL, Cli, Start, parts
from tests.e2e.test_faults import SLOW, ids, run_args, wait_for_parts


def test_success_is_gone_while_a_grown_job_is_worked(
    records: Path, tmp_path: Path, cli: Cli, start: Start
) -> None:
    output = tmp_path / "out"
    success = output / "_batchfim" / "_SUCCESS"
    cli(*run_args(records, output, *LOCAL, "--set", "schedule.shard_rows=10"))
    assert success.exists()
    finished = parts(output)
    rows = [f"r{row}" for row in range(200, 300)]
    table = pa.table({"id": rows, "prefix": rows, "suffix": rows})
    pq.write_table(table, records / "part-2.parquet")

    grown = start(*run_args(records, output, *LOCAL, *SLOW))
    wait_for_parts(output, grown, len(finished) + 2)
    assert not success.exists()
    grown.send_signal(signal.SIGKILL)
    grown.wait()
    assert not success.exists()

    cli(*run_args(records, output, *LOCAL))
    assert success.exists()
    assert ids(output) == sorted(f"r{row}" for row in range(300))
    assert {name: parts(output)[name] for name in finished} == finished
    runs = json.loads((output / "_batchfim" / "summary.json").read_text())["runs"]
    assert runs[0]["records"] == 200
    assert 0 < runs[-1]["records"] < 100
    assert len(runs) == 2  # the killed run could not say anything
