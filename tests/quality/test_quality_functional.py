"""pass@k: the estimator, and records whose tests are run."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from batchfim.api import evaluate_job
from batchfim.cli import app
from batchfim.errors import InputError
from batchfim.quality.functional import pass_at, program_of, why_not_run
from batchfim.quality.options import Options
from batchfim.sandbox import inside
from batchfim.sandbox.sandbox import Limits
from tests.e2e.conftest import Start, start  # noqa: F401 - a fixture
from tests.quality.conftest import RunJob, columns
from tests.quality.test_quality_rules import ROW
from tests.shared import shared_data

CHECK = "def check(f):\n    assert f(1) == 2\n"
ENDLESS = "def check(f):\n    while True: pass\n"
RUN = Options(middle="middle_reference", execution=Limits(timeout_s=2))


def with_tests(num_rows: int, **more: Any) -> dict[str, Any]:
    points = [f"f{row}" for row in range(num_rows)]
    # The record's own call would run while its test is defined.
    given = columns(num_rows, test=[CHECK] * num_rows, entry_point=points, suffix=["\n"] * num_rows)
    return given | more


@pytest.mark.parametrize(("samples", "k"), [(1, 1), (5, 1), (5, 2), (5, 5), (8, 3)])
def test_pass_at_k_is_the_share_of_choices_with_a_sample_that_passes(samples: int, k: int) -> None:
    for passed in range(samples + 1):
        chosen = list(combinations([True] * passed + [False] * (samples - passed), k))
        assert pass_at(k, samples, passed) == pytest.approx(sum(map(any, chosen)) / len(chosen))


def test_what_works_passes_and_what_does_not_does_not(run: RunJob) -> None:
    references = ["x + 1", "1 + x", "x + 2", "nonsense("] * 2
    output = run(**with_tests(8, middle_reference=references))
    found = evaluate_job(output, RUN)
    assert found["overall"]["pass@1"] | {"value": 0.5, "rows": 8} == found["overall"]["pass@1"]
    assert found["rows"]["executed"] == 8
    assert found["sandbox"] in ("namespaces", "limits")


def test_samples_of_a_record_count_together(run: RunJob) -> None:
    output = run(
        "sampling.n=10", "sampling.temperature=1", **with_tests(2, middle_reference=["x + 1", "0"])
    )
    found = evaluate_job(output, RUN)["overall"]
    assert {name for name in found if name.startswith("pass@")} == {"pass@1", "pass@10"}
    assert (found["pass@10"]["value"], found["pass@10"]["rows"]) == (0.5, 2)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"entry_point": [None, "f1", "f2"]}, "define check() and have no entry_point"),
        ({"language": ["javascript", "python", "python"]}, "are not Python"),
    ],
)
def test_what_is_not_run_is_said_and_does_not_count_as_passed(
    run: RunJob, changed: dict[str, Any], reason: str
) -> None:
    found = evaluate_job(run(**with_tests(3, **changed)), RUN)
    assert found["overall"]["pass@1"]["rows"] == found["rows"]["executed"] == 2
    assert any(
        note.startswith(f"1 rows have a test that was not run, because they {reason}")
        for note in found["notes"]
    )


def test_a_test_that_never_ends_is_ended_and_said(run: RunJob) -> None:
    found = evaluate_job(run(**with_tests(3, test=[CHECK, ENDLESS, None])), RUN)
    assert (found["overall"]["pass@1"]["value"], found["overall"]["pass@1"]["rows"]) == (0.5, 2)
    assert "1 programs did not end within 2 s and count as not passed" in found["notes"]


def test_nothing_is_run_unless_it_is_allowed(run: RunJob) -> None:
    output = run(**with_tests(2))
    refused = CliRunner().invoke(app, ["evaluate", output], catch_exceptions=False).output
    assert "the code the model wrote" in refused
    assert "pass@1" not in refused.split("note:")[0]
    command = ["evaluate", output, "--middle", "middle_reference", "--allow-execution"]
    allowed = CliRunner().invoke(app, command, catch_exceptions=False).output
    assert "pass@1" in allowed


def test_records_without_tests_cannot_be_run(run: RunJob) -> None:
    with pytest.raises(InputError, match="nothing to run; it needs the columns test and entry_po"):
        evaluate_job(run(**columns(2)), RUN)


def test_ctrl_c_ends_it_and_its_programs(run: RunJob, start: Start) -> None:  # noqa: F811
    output = run("schedule.shard_rows=200", **with_tests(200, test=[ENDLESS] * 200))
    first = evaluate_job(output)
    process = start("evaluate", output, "--allow-execution", "--timeout", 5)
    before: set[psutil.Process] = set()
    while not before & set(now := programs_running()):  # the trial before them ends at once
        assert process.poll() is None, process.communicate()
        before = set(now)
        time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert psutil.wait_procs(programs_running(), timeout=30)[1] == []
    ledger = Path(output, "_batchfim")
    assert json.loads((ledger / "evaluation.json").read_text()) == first
    assert all((ledger / "evaluation" / name).exists() for name in first["scores"])


def programs_running() -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if inside.__file__ in (process.info["cmdline"] or [])
    ]


def test_humaneval_gives_what_the_benchmark_gives(run: RunJob) -> None:
    """Every 20th of SingleLine: its solutions pass, empty middles as often as in the open."""
    file = shared_data("humaneval-infilling/HumanEval-SingleLineInfilling.jsonl.gz")
    with gzip.open(file, "rt", encoding="utf8") as lines:
        tasks = [json.loads(line) for line in lines][::20]
    output = run(
        prefix=[task["prompt"] for task in tasks],
        suffix=[task["suffix"] for task in tasks],
        middle_reference=[task["canonical_solution"] for task in tasks],
        nothing=["" for _ in tasks],
        test=[task["test"] for task in tasks],
        entry_point=[task["entry_point"] for task in tasks],
    )
    solved = evaluate_job(output, Options(middle="middle_reference", execution=Limits()))
    empty = evaluate_job(output, Options(middle="nothing", execution=Limits(timeout_s=5)))
    assert solved["overall"]["pass@1"]["value"] == 1.0
    passed = sum(passes_in_the_open(task) for task in tasks)
    assert 0 < passed < len(tasks) / 2
    assert empty["overall"]["pass@1"]["value"] == pytest.approx(passed / len(tasks), abs=1e-6)


def passes_in_the_open(task: dict[str, str]) -> bool:
    """The benchmark's own program for an empty middle, in a plain process of 1 GiB."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    program = f"{task['prompt']}{task['suffix']}\n{task['test']}\ncheck({task['entry_point']})"
    try:
        done = subprocess.run(
            [sys.executable, "-c", limit + program], capture_output=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@pytest.mark.parametrize(
    ("call", "runs"),
    [
        ("check(strlen)\n", True),
        ("def test_check():\n    check(strlen)\n\ntest_check()\n", True),
        ("def test_check():\n    check(strlen)\n", False),
        ("", False),
    ],
)
def test_a_test_that_calls_its_own_check_needs_no_entry_point(call: str, runs: bool) -> None:
    """As those of the SantaCoder-FIM benchmark."""
    test = "def check(candidate):\n    assert candidate('') == 0\n" + call
    row = replace(ROW, test=test, entry_point=None, language="python")
    assert (why_not_run(row) is None) == runs
    assert (program_of(row, "    pass\n") is not None) == runs
