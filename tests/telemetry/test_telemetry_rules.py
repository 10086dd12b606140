"""Dashboard and alerts name only what is exported."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import promql_parser
import pytest
import yaml

import batchfim.telemetry
from batchfim.telemetry.exporting import open_metric
from batchfim.telemetry.table import EXPORTED, IN_FLIGHT, JOB_TAG, PLANNED_ROWS, RUN_TAG
from k8s.checks.rendering import K8S

FOLDER = Path(batchfim.telemetry.__file__).parent
DASHBOARD, ALERTS = FOLDER / "dashboard.json", FOLDER / "alerts.yaml"
# Of kube-state-metrics: how its CronJob fared.
OF_THE_NIGHTS = {
    "kube_cronjob_created",
    "kube_cronjob_spec_suspend",
    "kube_cronjob_status_active",
    "kube_cronjob_status_last_schedule_time",
    "kube_cronjob_status_last_successful_time",
}


def selectors(expressions: Iterable[str]) -> list[promql_parser.VectorSelector]:
    """What is asked of Prometheus; raises where it would not parse."""
    found: list[promql_parser.VectorSelector] = []

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    for expression in expressions:
        promql_parser.walk(promql_parser.parse(expression), note)
    return found


def metrics_in(file: Path) -> set[str]:
    return {str(selector.name) for selector in selectors(expressions(yaml.safe_load(file.open())))}


def expressions(tree: object) -> list[str]:
    if isinstance(tree, dict):
        own = [tree["expr"]] if "expr" in tree else []
        return own + [found for value in tree.values() for found in expressions(value)]
    return [e for one in tree for e in expressions(one)] if isinstance(tree, list) else []


def test_the_dashboard_names_only_metrics_that_are_exported_and_each_of_them() -> None:
    shown = metrics_in(DASHBOARD)
    assert shown <= EXPORTED
    assert EXPORTED - shown == {
        "ray_batchfim_records_total",
        "ray_batchfim_commit_seconds_count",
        "ray_batchfim_commit_seconds_sum",
    }


def test_alerts_name_only_metrics_that_are_exported_and_those_of_the_cronjob() -> None:
    named = metrics_in(ALERTS)
    assert named & EXPORTED
    assert named - EXPORTED == OF_THE_NIGHTS


def test_alerts_of_the_nights_ask_for_the_cronjob_that_there_is() -> None:
    """One that asked for another would never be raised."""
    (base,) = yaml.safe_load_all((K8S / "base" / "cronjob.yaml").open())
    asked = [
        matcher.value
        for selector in selectors(expressions(yaml.safe_load(ALERTS.open())))
        for matcher in selector.matchers.matchers
        if matcher.name == "cronjob"
    ]
    assert set(asked) == {base["metadata"]["name"]}


def test_none_asks_for_the_increase_of_a_counter_that_begins_with_its_first_count() -> None:
    """It would miss that one: Ray cannot tell of a counter that it is 0."""
    for file in (ALERTS, DASHBOARD):
        for expression in expressions(yaml.safe_load(file.open())):
            assert "increase(" not in expression


def test_done_of_planned_is_of_one_run() -> None:
    """Where Ray stays, so do an earlier run's rows, and only the last says what it planned."""
    (share,) = [
        promql_parser.parse(expression)
        for expression in expressions(json.loads(DASHBOARD.read_text()))
        if "planned_rows" in expression
    ]
    assert isinstance(share, promql_parser.BinaryExpr)
    for side in (share.lhs, share.rhs):
        assert isinstance(side, promql_parser.AggregateExpr)
        assert side.modifier is not None
        assert set(side.modifier.labels) == {JOB_TAG, RUN_TAG}


def test_the_drivers_metrics_are_tagged_with_the_run_a_workers_with_the_job_alone() -> None:
    ours = open_metric(PLANNED_ROWS, "out/", "run-1").info["default_tags"]
    assert ours == {JOB_TAG: "out/", RUN_TAG: "run-1"}
    assert open_metric(IN_FLIGHT, "out/").info["default_tags"] == {JOB_TAG: "out/"}


def test_panels_have_ids_of_their_own_and_one_datasource() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


def test_every_alert_says_what_to_do() -> None:
    rules = [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]
    assert {"BatchfimNoProgress", "BatchfimFailureShare", "BatchfimMissedNight"} <= {
        rule["alert"] for rule in rules
    }
    for rule in rules:
        assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(ALERTS)], check=True)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize(
    ("suspended", "minute", "firing"),
    [("0x1800", 1500, 0), ("0x1800", 1600, 1), ("1x4320 0x80", 4300, 0), ("1x4320 0x80", 4330, 0)],
    ids=["not yet", "26 hours", "suspended", "resumed"],
)
def test_a_night_is_missed_26_hours_after_the_last_and_not_for_a_pause(
    tmp_path: Path, suspended: str, minute: int, firing: int
) -> None:
    labels = '{cronjob="batchfim-nightly",namespace="n"}'
    series = {
        f"kube_cronjob_status_last_schedule_time{labels}": "0x4400",
        f"kube_cronjob_spec_suspend{labels}": suspended,
    }
    count = 'count(ALERTS{alertname="BatchfimMissedNight",alertstate="firing"})'
    expected = [{"labels": "{}", "value": firing}] if firing else []
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": count, "eval_time": f"{minute}m", "exp_samples": expected},
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
