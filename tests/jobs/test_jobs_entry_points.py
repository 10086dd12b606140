"""Each entry point by itself: its help, its job file, what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.conftest import ROOT, ended, environment, start_module

MODULES = sorted(
    file.stem for file in (ROOT / "jobs").glob("*.py") if "run_command(app)" in file.read_text()
)
WITHOUT = """
import runpy, sys
for name in ("ray", "vllm", "torch", "kubernetes"):
    sys.modules[name] = None  # its import fails
sys.argv = ["jobs", "--help"]
runpy.run_module("jobs.{module}", run_name="__main__")
"""


def test_these_are_the_entry_points() -> None:
    assert MODULES == ["bench", "infill", "prefetch", "retry", "submit"]


@pytest.mark.parametrize("module", MODULES)
def test_help_needs_neither_ray_nor_vllm(module: str) -> None:
    command = [sys.executable, "-c", WITHOUT.format(module=module)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "--job-file" in done.stdout


@pytest.mark.parametrize("module", ["bench", "infill", "prefetch", "retry"])
def test_a_job_file_that_is_not_there(tmp_path: Path, module: str) -> None:
    _, err = ended(start_module(f"jobs.{module}", "--job-file", "no.yaml", folder=tmp_path), 2)
    assert err == "error: no.yaml: no such job file\n"


def test_failed_rows_can_be_accepted(job_file: Path) -> None:
    options = ("--job-file", job_file.name, "--set", "schedule.pool=local")
    failing = (*options, "--set", "engine.simulated.fail_if_contains=f17")
    ended(start_module("jobs.infill", *failing, folder=job_file.parent), 3)
    more = (*failing, "--accept-failed-rows")
    out, _ = ended(start_module("jobs.infill", *more, folder=job_file.parent))
    assert "batchfim retry" in out


def test_failed_rows_are_retried_with_the_job_files_settings(job_file: Path) -> None:
    def start(module: str, *sets: str) -> subprocess.Popen[str]:
        given = [word for setting in sets for word in ("--set", setting)]
        options = ("--job-file", job_file.name, *given)
        return start_module(f"jobs.{module}", *options, folder=job_file.parent)

    local, failing = "schedule.pool=local", "engine.simulated.fail_if_contains=f17"
    ended(start("infill", local, failing), 3)
    out, _ = ended(start("retry", local, failing), 3)
    assert "batchfim retry" in out
    _, err = ended(start("retry", local, "sampling.seed=9"), 2)
    assert "holds finished work of another job (sampling.seed: 0 there, 9 now)" in err
    out, _ = ended(start("retry", local))
    assert "200 ok, 0 rejected, 0 failed" in out
    assert (job_file.parent / "out" / "_batchfim" / "_SUCCESS").exists()


def test_a_retry_needs_a_job(job_file: Path) -> None:
    options = ("--job-file", job_file.name)
    _, err = ended(start_module("jobs.retry", *options, folder=job_file.parent), 2)
    assert "no batchfim job found" in err


def test_a_run_that_was_to_end_in_time_can_be_accepted(job_file: Path) -> None:
    options = ("--job-file", job_file.name, "--set", "schedule.pool=local")
    short = (*options, "--set", "schedule.stop_after_s=0.001", "--set", "schedule.grace_s=0")
    ended(start_module("jobs.infill", *short, folder=job_file.parent), 4)
    more = (*short, "--accept-unfinished")
    out, _ = ended(start_module("jobs.infill", *more, folder=job_file.parent))
    assert "stopped before the end: run the same command again to continue" in out


def test_bench_says_a_line_for_each_run_and_leaves_the_output_alone(job_file: Path) -> None:
    options = ("--job-file", job_file.name, "--rows", "50", "--repeats", "2", "--keep-as", "first")
    local = (*options, "--set", "schedule.pool=local")
    before = set(job_file.parent.iterdir())
    out, _ = ended(start_module("jobs.bench", *local, folder=job_file.parent))
    runs = [json.loads(line) for line in out.splitlines()]
    assert len(runs) == 2
    assert all(run["records_per_s"] > 0 and run["error"] is None for run in runs)
    kept = job_file.parent / "out.bench"
    assert (kept / "first.jsonl").read_text() == out
    assert set(job_file.parent.iterdir()) == {*before, kept}


def test_a_benchmark_of_a_job_that_does_not_run_ends_as_the_job_does(job_file: Path) -> None:
    options = ("--job-file", job_file.name, "--set", "schedule.pool=local")
    failing = (*options, "--set", "engine.simulated.fail_start=true")
    _, err = ended(start_module("jobs.bench", *failing, folder=job_file.parent), 2)
    assert "told not to start" in err


def test_prefetch_says_where_the_model_is(job_file: Path) -> None:
    out, _ = ended(
        start_module("jobs.prefetch", "--job-file", job_file.name, folder=job_file.parent)
    )
    told = json.loads(out)
    assert told["model"] == "demo"
    assert told["bytes"] == sum(
        file.stat().st_size for file in Path(told["folder"]).rglob("*") if file.is_file()
    )
