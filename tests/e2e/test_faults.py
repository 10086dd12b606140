"""Kills, signals and second runs, on real processes; the engine is simulated to make them fast."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import LOCAL, SIMULATED, Cli, Start, children_of, parts, still_alive
from tests.processes import named

# About ten seconds of work in twenty shards: time to be hit in the middle.
SLOW = (
    *("--set", "engine.simulated.decode_tokens_per_s=40"),
    *("--set", "engine.simulated.max_num_seqs=8", "--set", "schedule.shard_rows=10"),
)


def run_args(records: Path, output: Path, *more: str) -> tuple[object, ...]:
    return ("run", "--input", records, "--output", output, "--model", "demo", *more)


def wait_for_parts(output: Path, process: subprocess.Popen[str], number: int) -> None:
    while len(parts(output)) < number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def ids(output: Path) -> list[str]:
    return sorted(ds.dataset(output).to_table(columns=["id"])["id"].to_pylist())


@pytest.mark.parametrize("home", [LOCAL, SIMULATED], ids=["local", "ray"])
def test_a_killed_driver_loses_and_doubles_nothing(
    records: Path, tmp_path: Path, cli: Cli, start: Start, home: tuple[str, ...]
) -> None:
    output = tmp_path / "out"
    first = start(*run_args(records, output, *home, *SLOW))
    wait_for_parts(output, first, 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    finished = {name for name in parts(output) if is_marked(output, name)}
    before = parts(output)

    cli(*run_args(records, output, *home))

    assert ids(output) == sorted(f"r{row}" for row in range(200))
    after = parts(output)
    assert finished
    assert {name: after[name] for name in finished} == {name: before[name] for name in finished}
    summary = json.loads((output / "_batchfim" / "summary.json").read_text())
    assert summary["runs"][-1]["rows"] == 200 - 10 * len(finished)
    assert (output / "_batchfim" / "_SUCCESS").exists()


def is_marked(output: Path, part: str) -> bool:
    shard = part.removeprefix("part-").removesuffix(".parquet")
    return (output / "_batchfim" / "done" / f"{shard}.json").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_signal_ends_the_run_and_all_its_processes(
    records: Path, tmp_path: Path, cli: Cli, start: Start, number: signal.Signals, code: int
) -> None:
    output = tmp_path / "out"
    process = start(*run_args(records, output, *SIMULATED, *SLOW))
    wait_for_parts(output, process, 2)
    children = children_of(process)
    process.send_signal(number)
    process.wait()

    assert process.returncode == code
    assert children
    assert still_alive(children) == []
    assert not (output / "_batchfim" / "_SUCCESS").exists()
    cli(*run_args(records, output, *LOCAL))
    assert len(ids(output)) == 200


def test_two_runs_never_share_a_job(records: Path, tmp_path: Path, cli: Cli, start: Start) -> None:
    output = tmp_path / "out"
    first = start(*run_args(records, output, *LOCAL, *SLOW))
    wait_for_parts(output, first, 1)

    second = cli(*run_args(records, output, *LOCAL), code=75)

    assert f"held by process {first.pid}" in second.stderr
    assert first.wait() == 0
    assert len(ids(output)) == 200


def test_a_worker_that_dies_is_replaced(records: Path, tmp_path: Path, start: Start) -> None:
    output = tmp_path / "out"
    process = start(*run_args(records, output, *SIMULATED, *SLOW))
    wait_for_parts(output, process, 2)
    actors = named("_Actor", children_of(process))
    assert actors
    for actor in actors:
        actor.kill()

    assert process.wait() == 0
    assert ids(output) == sorted(f"r{row}" for row in range(200))


def test_a_record_the_engine_refuses_or_fails_on_does_not_stop_its_neighbours(
    records: Path, tmp_path: Path, cli: Cli
) -> None:
    output = tmp_path / "out"
    marks = (
        *("--set", "engine.simulated.refuse_if_contains=f7("),
        *("--set", "engine.simulated.fail_if_contains=f9("),
    )

    cli(*run_args(records, output, *LOCAL, *marks), code=3)

    status = {row["id"]: row["status"] for row in ds.dataset(output).to_table().to_pylist()}
    assert status.pop("r7") == "rejected"
    assert status.pop("r9") == "failed"
    assert set(status.values()) == {"ok"}


def test_an_engine_that_never_starts_ends_the_run_with_its_cause(
    records: Path, tmp_path: Path, cli: Cli
) -> None:
    broken = ("--set", "engine.simulated.fail_start=true", "--set", "schedule.workers=2")
    done = cli(*run_args(records, tmp_path / "out", *LOCAL, *broken), code=2)
    assert "told not to start" in done.stderr
    cli(*run_args(records, tmp_path / "out", *LOCAL))
