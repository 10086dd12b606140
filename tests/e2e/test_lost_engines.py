"""Records that kill engines or make them hang, and jobs in which nothing works at all."""

from __future__ import annotations

import signal
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import LOCAL, SIMULATED, Cli, Start, children_of, parts, still_alive
from tests.e2e.test_faults import SLOW, ids, run_args, wait_for_parts
from tests.processes import named

POISON = "f7("


def statuses(output: Path) -> dict[str, str]:
    rows = ds.dataset(output).to_table(columns=["id", "status"]).to_pylist()
    assert len(rows) == 200
    return {row["id"]: row["status"] for row in rows}


@pytest.mark.parametrize(
    ("home", "fault"),
    [(LOCAL, "die_if_contains"), (SIMULATED, "kill_if_contains")],
    ids=["the engine dies", "its process is killed"],
)
def test_a_record_that_kills_engines_fails_alone(
    records: Path, tmp_path: Path, cli: Cli, home: tuple[str, ...], fault: str
) -> None:
    output = tmp_path / "out"
    poison = ("--set", f"engine.simulated.{fault}={POISON}", "--set", "schedule.shard_rows=16")

    done = cli(*run_args(records, output, *home, *poison), code=3)

    status = statuses(output)
    assert status.pop("r7") == "failed"
    assert set(status.values()) == {"ok"}
    assert "1 rows: engine died on this record" in done.stdout
    assert "\nworkers lost: " in done.stdout
    cli(*run_args(records, output, *home), code=3)  # nothing is left to do


def test_an_engine_that_hangs_is_killed_and_replaced(
    records: Path, tmp_path: Path, cli: Cli
) -> None:
    output = tmp_path / "out"
    hang = (
        *("--set", f"engine.simulated.hang_if_contains={POISON}"),
        *("--set", "schedule.shard_rows=100", "--set", "schedule.stall_timeout_s=2"),
    )

    cli(*run_args(records, output, *LOCAL, *hang), code=3)

    status = statuses(output)
    assert status.pop("r7") == "failed"
    assert set(status.values()) == {"ok"}


def test_a_worker_process_that_stands_still_is_killed_and_replaced(
    records: Path, tmp_path: Path, start: Start
) -> None:
    output = tmp_path / "out"
    impatient = ("--set", "schedule.stall_timeout_s=4")
    process = start(*run_args(records, output, *SIMULATED, *SLOW, *impatient))
    wait_for_parts(output, process, 2)
    actors = named("_Actor", children_of(process))
    for actor in actors:
        actor.send_signal(signal.SIGSTOP)

    assert process.wait() == 0
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    assert actors
    assert still_alive(actors) == []


def test_a_job_in_which_every_engine_dies_stops_early_with_the_first_cause(
    records: Path, tmp_path: Path, cli: Cli
) -> None:
    broken = ("--set", "engine.simulated.die_if_contains=def", "--set", "schedule.setbacks=3")
    done = cli(*run_args(records, tmp_path / "out", *LOCAL, *broken), code=1)
    assert "stopped after 3 failures with nothing completed in between" in done.stderr
    assert "hardly a record's fault: the simulated engine died on demand" in done.stderr
    assert parts(tmp_path / "out") == {}
    cli(*run_args(records, tmp_path / "out", *LOCAL))
    assert len(ids(tmp_path / "out")) == 200


def test_sigterm_lets_shards_in_hand_be_finished_and_takes_no_more(
    records: Path, tmp_path: Path, cli: Cli, start: Start
) -> None:
    output = tmp_path / "out"
    process = start(*run_args(records, output, *LOCAL, *SLOW))
    wait_for_parts(output, process, 2)
    before = len(parts(output))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    num_parts = len(parts(output))
    assert before < num_parts <= before + 2 + 1  # two in hand, one perhaps finished meanwhile
    assert {file.stem for file in (output / "_batchfim" / "staging").iterdir()} == set()
    cli(*run_args(records, output, *LOCAL))
    assert len(ids(output)) == 200


def test_what_cannot_be_finished_in_time_is_given_back(
    records: Path, tmp_path: Path, cli: Cli, start: Start
) -> None:
    output = tmp_path / "out"
    large = ("--set", "schedule.shard_rows=50", "--set", "schedule.grace_s=0.1")
    process = start(*run_args(records, output, *LOCAL, *SLOW, *large))
    wait_for_parts(output, process, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert len(parts(output)) < 4
    cli(*run_args(records, output, *LOCAL))
    assert len(ids(output)) == 200
