"""`batchfim retry` as a person uses it, killed in the middle."""

from __future__ import annotations

import signal
from pathlib import Path

import pyarrow.dataset as ds

from tests.e2e.conftest import LOCAL, Cli, Start, parts
from tests.e2e.test_faults import ids, run_args

FAIL = ("--set", "engine.simulated.fail_if_contains=0(x)")  # every tenth record
WELL = ("--set", "engine.simulated.fail_if_contains=null")
SLOW = ("--set", "engine.simulated.decode_tokens_per_s=20")


def failed(output: Path) -> int:
    return ds.dataset(output).to_table(columns=["status"])["status"].to_pylist().count("failed")


def test_a_retry_killed_half_way_is_finished_by_the_next(
    records: Path, tmp_path: Path, cli: Cli, start: Start
) -> None:
    output = tmp_path / "out"
    small = ("--set", "schedule.shard_rows=10", "--set", "schedule.in_flight_records=1")
    done = cli(*run_args(records, output, *LOCAL, *FAIL, *small), code=3)
    assert f"run the failed rows again: batchfim retry {output}" in done.stdout
    assert failed(output) == 20
    before = parts(output)

    process = start("retry", output, *WELL, *SLOW)
    while parts(output) == before:
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < failed(output) < 20

    cli("run", *run_args(records, output, *LOCAL)[1:], code=3)  # what the kill left half done
    cli("retry", output, *WELL)
    assert failed(output) == 0
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    cli("verify", output)
