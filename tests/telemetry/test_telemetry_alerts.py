"""Alerts on made-up series, as Prometheus evaluates them: `promtool test rules`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.telemetry.test_telemetry_rules import ALERTS

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")

# A value a minute, in promtool's own notation: "_x5" is none for 5 minutes, "1x9" ten times 1.
AT_WORK = {
    'planned_rows{run="a"}': "100x90",
    'shards{run="a", state="leased"}': "2x90",
    'workers{run="a", state="ready"}': "1x90",
}
A_SECOND_RUN = {
    'planned_rows{run="a"}': "100x10 stale",
    'shards{run="a", state="leased"}': "2x10 stale",
    'workers{run="a", state="ready"}': "1x10 stale",
    'records_total{run="a"}': "100x90",
    'rows_total{run="a", status="ok"}': "100x90",
    'rows_total{run="a", status="failed"}': "100x90",
    'planned_rows{run="b"}': "_x20 100x90",
    'shards{run="b", state="leased"}': "_x20 2x90",
    'workers{run="b", state="ready"}': "_x20 0x4 1x90",
}


def check(folder: Path, alert: str, series: dict[str, str], minutes: dict[int, bool]) -> None:
    """Whether the alert is raised by these series of one output, at some minutes."""
    firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    raised: list[dict[str, Any]] = [{"labels": "{}", "value": 1}]
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"ray_batchfim_{name}".replace("{", '{output="o", '), "values": values}
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{minute}m", "exp_samples": raised if told else []}
            for minute, told in minutes.items()
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [test]}))
    command = ["promtool", "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("series", "quiet", "raised"),
    [
        (AT_WORK, [5, 14], [16, 80]),
        (AT_WORK | {'records_total{run="a"}': "_x6 10x9 20x15"}, [5, 13, 20, 30], []),
        (AT_WORK | {'records_total{run="a"}': "10+10x20 210x60"}, [19, 30, 38], [42]),
        (A_SECOND_RUN, [9, 35, 39], [41]),
        (A_SECOND_RUN | {'records_total{run="b"}': "_x30 1+1x60"}, [35, 41, 60], []),
    ],
    ids=["nothing ever", "a slow start", "a stall", "a second run", "a second run that works"],
)
def test_no_progress_is_none_for_15_minutes_with_a_worker(
    tmp_path: Path, series: dict[str, str], quiet: Sequence[int], raised: Sequence[int]
) -> None:
    minutes = dict.fromkeys(quiet, False) | dict.fromkeys(raised, True)
    check(tmp_path, "BatchfimNoProgress", series, minutes)


def test_the_first_failures_count_too(tmp_path: Path) -> None:
    series = {
        'rows_total{run="a", status="ok"}': "_x5 90x90",
        'rows_total{run="a", status="failed"}': "_x5 10x90",
    }
    minutes = {9: False, 11: True, 34: True, 36: False}
    check(tmp_path, "BatchfimFailureShare", series, minutes)


def test_failures_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    series = A_SECOND_RUN | {'rows_total{run="b", status="ok"}': "_x40 100x50"}
    check(tmp_path, "BatchfimFailureShare", series, {41: False, 60: False})


@pytest.mark.parametrize(("workers", "raised"), [(1, True), (11, True), (1000, False)])
def test_the_first_restarts_count_too_unless_they_are_few_of_many(
    tmp_path: Path, workers: int, raised: bool
) -> None:
    series = {
        'engine_restarts_total{run="a"}': "_x5 6x90",
        'workers{run="a", state="wanted"}': f"{workers}x90",
    }
    check(tmp_path, "BatchfimEngineRestarts", series, {4: False, 6: raised, 66: False})


@pytest.mark.parametrize(
    ("ready", "waiting", "minutes"),
    [
        ("_x3 7x90", "9x90", {29: False, 34: True, 80: True}),
        ("_x3 8x90", "9x90", {34: False, 80: False}),
        ("_x3 7x20 8x60", "9x90", {34: False, 80: False}),
        ("_x3 7x90", "9x20 0x60", {34: False, 80: False}),
    ],
    ids=["seven of ten", "eight of ten", "late", "at the end"],
)
def test_missing_workers_are_told_of_while_shards_wait(
    tmp_path: Path, ready: str, waiting: str, minutes: dict[int, bool]
) -> None:
    series = {
        'workers{run="a", state="wanted"}': "10x90",
        'workers{run="a", state="ready"}': ready,
        'shards{run="a", state="waiting"}': waiting,
    }
    check(tmp_path, "BatchfimMissingWorkers", series, minutes)
