"""What Prometheus sees of a job that runs on a real Ray, against the job's own accounts."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from batchfim.telemetry.table import EXPORTED
from tests.jobs.conftest import Head, Submit, ended
from tests.jobs.test_jobs_on_ray import SLOW

Values = dict[tuple[str, str], float]  # by series and the value of its tag, if it has one


def scrape(head: Head, output: Path) -> Values:
    """What is said of one job now."""
    found: Values = defaultdict(float)
    for family in text_string_to_metric_families(requests.get(head.metrics, timeout=30).text):
        for sample in family.samples:
            if sample.labels.get("output") == str(output):
                tags = [sample.labels.get(tag) for tag in ("status", "kind", "state")]
                found[sample.name, next(filter(None, tags), "")] += sample.value
    return found


def summary_of(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "_batchfim/summary.json").read_text())
    return found


def test_a_running_job_is_seen_and_at_its_end_the_metrics_are_the_summarys(
    submit: Submit, tmp_path: Path, head: Head
) -> None:
    output = tmp_path / "out"
    process = submit(*SLOW)
    seen: list[Values] = []
    while process.poll() is None:
        seen.append(scrape(head, output))
        time.sleep(0.3)
    ended(process)
    seen.append(scrape(head, output))

    names = {name for values in seen for name, _ in values}
    assert names == EXPORTED - {"ray_batchfim_engine_restarts_total"}  # none was lost
    rows = [values.get(("ray_batchfim_rows_total", "ok"), 0.0) for values in seen]
    assert rows == sorted(rows)
    assert any(0 < num < 200 for num in rows)

    last, summary = seen[-1], summary_of(output)
    assert rows[-1] == summary["rows"]["ok"] == last["ray_batchfim_planned_rows", ""] == 200
    assert last["ray_batchfim_shards", "committed"] == summary["shards"] == 10
    assert last["ray_batchfim_commit_seconds_count", ""] == 10
    for kind, tokens in summary["tokens"].items():
        assert last["ray_batchfim_tokens_total", kind] == tokens
    assert 0 <= last["ray_batchfim_idle_share", ""] < 1
