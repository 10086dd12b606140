"""Dashboard and alerts name only what is exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import batchfim.telemetry
from batchfim.telemetry.table import EXPORTED

FOLDER = Path(batchfim.telemetry.__file__).parent
DASHBOARD, ALERTS = FOLDER / "dashboard.json", FOLDER / "alerts.yaml"


def metrics_in(text: str) -> set[str]:
    """Everything that looks like a metric of Ray's agent or of ours."""
    return set(re.findall(r"\b(?:ray_)?batchfim_\w+|\bray_\w+", text))


def expressions(tree: object) -> list[str]:
    if isinstance(tree, dict):
        own = [tree["expr"]] if "expr" in tree else []
        return own + [found for value in tree.values() for found in expressions(value)]
    return [e for one in tree for e in expressions(one)] if isinstance(tree, list) else []


@pytest.mark.parametrize("file", [DASHBOARD, ALERTS], ids=lambda file: file.name)
def test_only_metrics_that_are_exported_are_named(file: Path) -> None:
    named = metrics_in(file.read_text())
    assert named
    assert named <= EXPORTED


def test_each_metric_is_shown() -> None:
    shown = metrics_in(" ".join(expressions(json.loads(DASHBOARD.read_text()))))
    spared = {"ray_batchfim_records_total", "ray_batchfim_planned_rows"}
    spared |= {"ray_batchfim_commit_seconds_count", "ray_batchfim_commit_seconds_sum"}
    assert EXPORTED - shown <= spared


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
