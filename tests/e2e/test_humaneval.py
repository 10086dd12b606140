"""The main job on real input: HumanEval-Infilling through Ray and vLLM with the demo model."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import Cli, Start, children_of, parts, still_alive
from tests.processes import engine_cores
from tests.shared import shared_data

NUM_RECORDS = 1033
# Without compilation an engine starts in half the time; the middles are vLLM's either way.
FAST_START = (
    *("--set", "engine.args.enforce_eager=true", "--set", "sampling.max_tokens=48"),
    *("--set", "schedule.shard_rows=64", "--set", "metrics.progress=none"),
)
# Two engines on two cores share them instead of binding one each to the same.
TWO_WORKERS = ("--set", "schedule.workers=2", "--set", "resources.num_cpus=1")


@dataclass(frozen=True)
class Run:
    """A finished run and what it was given."""

    records: Path
    output: Path
    source: Path

    @property
    def rows(self) -> dict[str, dict[str, object]]:
        table = ds.dataset(self.output).to_table()
        return {row["id"]: row for row in table.to_pylist()}


def run_args(run: Run, *more: str) -> tuple[object, ...]:
    place = ("--input", run.records, "--output", run.output, "--model", "demo")
    return ("run", *place, *FAST_START, *more)


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Run:
    source = shared_data("humaneval-infilling/HumanEval-SingleLineInfilling.jsonl.gz")
    folder = tmp_path_factory.mktemp("humaneval")
    run = Run(folder / "records", folder / "out", source)
    cli("prepare", "humaneval-infilling", source, "-o", run.records)
    cli(*run_args(run))
    return run


def test_every_record_is_accounted_for_in_one_table(one_worker: Run) -> None:
    parquet = f"{one_worker.output}/*.parquet"
    by_duckdb = duckdb.sql(
        f"select count(*), count(distinct id), sum((status = 'ok')::int) from '{parquet}'"
    ).fetchall()
    assert by_duckdb == [(NUM_RECORDS, NUM_RECORDS, NUM_RECORDS)]
    assert ds.dataset(one_worker.output).count_rows() == NUM_RECORDS


def test_the_hole_is_filled_in_place(one_worker: Run) -> None:
    with gzip.open(one_worker.source, "rt", encoding="utf8") as lines:
        tasks = {task["task_id"]: task for task in map(json.loads, lines)}
    rows = one_worker.rows
    assert rows.keys() == tasks.keys()
    for task_id, row in rows.items():
        task = tasks[task_id]
        filled = f"{row['prefix']}{row['raw_middle']}{row['suffix']}"
        assert filled == f"{task['prompt']}{row['raw_middle']}{task['suffix']}"
        assert row["middle_reference"] == task["canonical_solution"]


def test_the_numbers_add_up_with_the_table(one_worker: Run) -> None:
    summary = json.loads((one_worker.output / "_batchfim" / "summary.json").read_text())
    rows = list(one_worker.rows.values())

    def total(column: str) -> int:
        return sum(int(str(row[column])) for row in rows)

    assert summary["tokens"] == {
        "prompt": total("prompt_tokens"),
        "cached": total("cached_tokens"),
        "computed": total("prompt_tokens") - total("cached_tokens"),
        "completion": total("completion_tokens"),
        "kept": total("kept_tokens"),
        "drafted": 0,
        "accepted": 0,
    }
    assert summary["preemptions"] == total("num_preemptions")
    assert summary["tokens"]["cached"] > 0
    statuses = [row["status"] for row in rows]
    for status in ("ok", "rejected", "failed"):
        assert summary["rows"][status] == statuses.count(status)
    reasons = [row["finish_reason"] for row in rows]
    assert summary["finish_reasons"] == {reason: reasons.count(reason) for reason in set(reasons)}
    for name in ("queue_s", "ttft_s", "latency_s"):
        longest = max(float(str(row[name])) for row in rows)
        assert summary["seconds"][name]["max"] == pytest.approx(longest)
    assert summary["complete"]
    assert summary["versions"]["ray"]


def test_timings_are_in_order(one_worker: Run) -> None:
    for row in one_worker.rows.values():
        times = [float(str(row[name])) for name in ("queue_s", "ttft_s", "latency_s")]
        assert 0 <= times[0] <= times[1] <= times[2]


def test_a_second_run_redoes_nothing(one_worker: Run, cli: Cli) -> None:
    before = parts(one_worker.output)
    done = cli(*run_args(one_worker))
    assert "nothing was left to do" in done.stdout
    assert parts(one_worker.output) == before


def test_two_workers_killed_half_way_and_resumed_agree_with_one(
    one_worker: Run, tmp_path: Path, cli: Cli, start: Start
) -> None:
    """Greedy middles differ only by what the engine varies with its batches: below 2 %."""
    run = Run(one_worker.records, tmp_path / "out", one_worker.source)
    process = start(*run_args(run, *TWO_WORKERS))
    while len(parts(run.output)) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = parts(run.output)

    cli(*run_args(run, *TWO_WORKERS))

    after = parts(run.output)
    kept = [name for name in before if after.get(name) == before[name]]
    assert len(kept) >= 2
    ours, theirs = run.rows, one_worker.rows
    assert ours.keys() == theirs.keys()
    assert ds.dataset(run.output).count_rows() == NUM_RECORDS
    same = sum(ours[key]["raw_middle"] == theirs[key]["raw_middle"] for key in ours)
    print(f"{same} of {NUM_RECORDS} greedy middles are equal")
    assert same >= 0.98 * NUM_RECORDS


def test_ctrl_c_leaves_no_engine_behind(one_worker: Run, tmp_path: Path, start: Start) -> None:
    """As a terminal does it: the signal goes to every process of the group."""
    run = Run(one_worker.records, tmp_path / "out", one_worker.source)
    small_shards = ("--set", "schedule.shard_rows=32")  # the first part comes long before the end
    process = start(*run_args(run, *small_shards))
    while not parts(run.output):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    children = children_of(process)
    cores = engine_cores(children)
    os.killpg(process.pid, signal.SIGINT)
    process.wait()

    assert process.returncode == 130
    assert cores
    assert still_alive(children) == []
