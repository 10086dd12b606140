"""One source of figures: summary, status, report, comparison and terminal never disagree."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from batchfim.accounts.summary_text import summary_text
from batchfim.api import compare_jobs, evaluate_job, job_status, report_job
from batchfim.errors import OutputError
from batchfim.report.compare import comparison_text
from batchfim.report.figures import figures
from batchfim.report.picking import pick
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job
from tests.report.conftest import ReportedJob, numbers, write_records

_WORKED_OUT = (
    *("cached share", "accepted share", "worker hours", "total_s"),
    *("speed.records", "speed.prompt", "speed.computed", "speed.completion"),
)
_FIGURE = re.compile(r'<dd data-figure="([^"]*)" data-value="([^"]*)">([^<]*)</dd>')


def page(job: Job) -> str:
    return (job.ledger / "report.html").read_text(encoding="utf8")


def shown(job: Job) -> dict[str, tuple[float | None, str]]:
    """The page's figures: values and texts by key."""
    found = _FIGURE.findall(page(job))
    values = numbers([value for _, value, _ in found])
    texts = [html.unescape(text) for _, _, text in found]
    return {
        key: (value, text) for (key, _, _), value, text in zip(found, values, texts, strict=True)
    }


def at(tree: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


def test_summary_status_report_and_comparison_say_the_same(job: Job) -> None:
    job.run("schedule.workers=2")
    summary = job.summary
    expected = {figure.key: (figure.value, figure.text) for figure in figures(summary)}
    assert shown(job) == expected
    assert expected["rows.ok"][0] == 54
    assert expected["rows.rejected"][0] == 6

    compared = compare_jobs([str(job.output)])[0]["figures"]
    assert {line["key"]: (line["value"], line["text"]) for line in compared} == expected

    status = job_status(str(job.output))
    for key, (value, _) in expected.items():
        place = key.replace("run.", "last.")
        view = status | {"last": status["runs"][-1], "shards": status["shards"]["done"]}
        if key not in _WORKED_OUT:
            assert at(view, place) == value, key

    text = summary_text(summary, str(job.output))
    for key in ("records", "rows.ok", "rows.rejected", "tokens.prompt", "tokens.completion"):
        assert expected[key][1] in text


def test_the_end_of_a_run_tells_rows_from_records_and_the_seconds_of_its_rates(job: Job) -> None:
    summary = job.run("sampling.n=2", "sampling.temperature=1").summary
    text, (run,) = summary_text(summary, str(job.output)), summary["runs"]
    assert "60 records in 15 shards, 120 rows: 108 ok, 12 rejected, 0 failed" in text
    assert f"{run['run_s']:.1f} s of work ({run['records_per_s']:,.1f} records/s, " in text
    assert f"{run['total_s']:.1f} s, including {run['engine_start_s']:.1f} s of engine st" in text


def test_speeds_and_wall_clock_are_of_all_runs(job: Job) -> None:
    job.run()
    (first,) = job.summary["runs"]
    write_records(job, 80)
    job.run()
    second = job.summary["runs"][-1]
    found = {figure.key: figure.value for figure in figures(job.summary)}
    run_s = first["run_s"] + second["run_s"]
    assert found["speed.records"] == pytest.approx((first["records"] + second["records"]) / run_s)
    tokens = sum(run["tokens_per_s"]["computed"] * run["run_s"] for run in (first, second))
    assert found["speed.computed"] == pytest.approx(tokens / run_s)
    assert found["total_s"] == pytest.approx(first["total_s"] + second["total_s"])


def test_the_end_of_a_run_names_the_page_it_made(job: Job) -> None:
    def said() -> str:
        result = job.run()
        return summary_text(result.summary, str(job.output), report=result.report)

    assert f"; report: {job.ledger / 'report.html'}" in said()
    assert "report:" not in said()  # nothing was left to do, and none was made


def test_the_table_of_shards_adds_up_to_the_summary(job: Job) -> None:
    job.run("schedule.workers=2")
    table, summary = pq.read_table(job.ledger / "metrics" / "shards.parquet"), job.summary
    sums = {name: pc.sum(table[name]).as_py() for name in table.column_names[9:-1]}
    assert sums["ok"] == summary["rows"]["ok"]
    assert sums["records"] == summary["records"]
    assert sums["prompt_tokens"] == summary["tokens"]["prompt"]
    assert sums["completion_tokens"] == summary["tokens"]["completion"]
    assert sums["latency_s"] / 54 == pytest.approx(summary["seconds"]["latency_s"]["mean"])
    assert max(table["max_latency_s"].to_pylist()) == summary["seconds"]["latency_s"]["max"]
    assert set(table["run"].to_pylist()) == {summary["runs"][0]["run"]}


def test_sizes_are_those_of_the_rows(job: Job) -> None:
    job.run()
    rows = [row for row in job.rows() if row["status"] == "ok"]
    for name in ("prompt_tokens", "completion_tokens"):
        values = sorted(row[name] for row in rows)
        told = job.summary["sizes"][name]
        assert told["max"] == values[-1]
        assert told["mean"] == pytest.approx(sum(values) / len(values))
        assert told["p50"] == pytest.approx(values[len(values) // 2 - 1], rel=0.01)


def test_the_slowest_records_and_an_example_of_each_error_are_there(job: Job) -> None:
    job.run()
    slowest = max((row for row in job.rows() if row["latency_s"]), key=lambda row: row["latency_s"])
    cells = re.search(
        r'id="slowest".*?<td class="number" data-sort="([^"]*)"', page(job), re.DOTALL
    )
    assert cells
    assert float(cells[1]) == slowest["latency_s"]
    errors = page(job).split('id="errors"')[1].split("</section>")[0]
    assert "column &#39;suffix&#39; is null, expected text" in errors
    assert errors.count('<details class="record"') == 3


def test_errors_that_differ_by_a_number_have_one_heading(job: Job) -> None:
    prefixes = [b"x" * row + b"\xff" for row in range(30)]
    job.write("a.parquet", range(30), prefix=pa.array(prefixes).view(pa.string()))
    job.run()
    (reason,) = job.summary["errors"]
    assert reason == "column 'prefix' is not UTF-8 text: invalid start byte at byte N"
    errors = page(job).split('id="errors"')[1].split("</section>")[0]
    assert (errors.count("<h3>"), errors.count('<details class="record"')) == (1, 3)


def test_an_error_that_is_not_in_the_table_has_no_examples(job: Job) -> None:
    job.run()
    ledger = Ledger.at(str(job.output))
    picked = pick(ledger, ledger.done(), ledger.shards(), (), reasons=())
    assert (picked.errors, len(picked.slowest)) == ({}, 10)


def test_evaluation_is_shown_and_compared_where_there_is_one(job: Job) -> None:
    job.run()
    score = {"value": 0.25, "low": 0.2, "high": 0.3, "rows": 54}
    evaluation = {
        "middle": "middle",
        "reference": "middle_reference",
        "rule": "as_is",
        "confidence": 0.95,
        "rows": {"ok": 54},
        "parts": "",
        "notes": ["<i>a note</i>"],
        "metrics": [{"name": "exact_match", "label": "exact match", "unit": "share"}],
        "overall": {"rows": 54, "exact_match": score},
        "by": {"language": {"<b>py</b>": {"rows": 54, "exact_match": score}, "c": {"rows": 0}}},
    }
    (job.ledger / "evaluation.json").write_text(json.dumps(evaluation))
    report_job(str(job.output))
    shown = page(job).split('id="evaluation"')[1].split("</section>")[0]
    assert shown.count("25.0 %") == 2
    assert "language: &lt;b&gt;py" in shown
    assert compare_jobs([str(job.output)])[0]["evaluation"]["exact match"]["value"] == 0.25


def test_an_evaluation_of_fewer_rows_is_pointed_out(job: Job) -> None:
    job.run()
    evaluate_job(str(job.output))
    report_job(str(job.output))
    assert "evaluate again" not in page(job)
    write_records(job, 80)
    job.run()
    assert "72 rows are ok now: evaluate again" in page(job)
    (told,) = compare_jobs([str(job.output)])
    assert told["evaluation_outdated"]
    assert f"{job.output}: rows were added or changed since the evaluation" in (
        comparison_text([told])
    )


def test_an_evaluation_of_rows_that_were_worked_anew_is_pointed_out(job: Job) -> None:
    job.run()
    evaluate_job(str(job.output))
    assert not compare_jobs([str(job.output)])[0]["evaluation_outdated"]
    min(job.output.glob("part-*.parquet")).unlink()
    job.run()
    assert "54 rows are ok now: evaluate again" in page(job)
    assert compare_jobs([str(job.output)])[0]["evaluation_outdated"]
    evaluate_job(str(job.output))
    report_job(str(job.output))
    assert "evaluate again" not in page(job)


@pytest.mark.parametrize("damage", ["{", '{"metrics": 1}'])
def test_a_report_that_cannot_be_made_is_one_line_and_the_run_is_complete(
    damage: str, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    """The second damage is one that nobody thought of: it ends the report's process otherwise."""
    (job.ledger).mkdir(parents=True)
    (job.ledger / "evaluation.json").write_text(damage)
    assert job.run().exit_code == 0
    assert job.complete
    assert job.summary["complete"]
    assert not (job.ledger / "report.html").exists()
    (line,) = [record.message for record in caplog.records if "report" in record.message]
    assert line.startswith("the report was not made (")
    assert line.endswith(f"make it with: batchfim report {job.output}")


def signal_once_it_is_made(number: int) -> None:
    """Send this process a signal when the process that makes its report is at work."""
    for _ in range(6000):
        for child in psutil.Process().children():
            if "report" in child.cmdline() and child.cpu_times().user > 0.1:
                os.kill(os.getpid(), number)
                return
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_report_and_the_run_is_complete(
    number: int, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(signal_once_it_is_made, number)
        assert job.run().exit_code == 0
        sent.result()
    assert job.complete
    assert not (job.ledger / "report.html").exists()
    assert "the report was not made (it was ended by a signal)" in caplog.text


def test_the_folder_a_run_is_started_in_is_not_imported_from(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("yaml", "queue", "code"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the project')")
    monkeypatch.chdir(tmp_path)
    job.run()
    assert (job.ledger / "report.html").exists()


def test_the_report_is_made_by_the_batchfim_that_made_the_run(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "batchfim.py").write_text("raise SystemExit('another batchfim')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job.run()
    assert (job.ledger / "report.html").exists()


def test_the_report_of_a_run_is_of_one_that_has_ended(job: Job) -> None:
    job.run()
    assert job_status(str(job.output))["state"] == "complete"
    assert '<span class="tag complete">complete</span>' in page(job)


def test_a_job_without_one_good_row_has_a_report(tmp_path: Path) -> None:
    job = ReportedJob(tmp_path / "records", tmp_path / "out")
    job.write("a.parquet", range(3), suffix=pa.nulls(3, pa.string()))
    job.run("schedule.workers=1")
    assert shown(job)["rows.rejected"] == (3, "3")
    assert 'id="distributions"' not in page(job)


def test_a_job_that_was_killed_before_its_first_shard_has_a_report(job: Job) -> None:
    job.run()
    for place in (*job.output.glob("part-*"), *(job.ledger / "done").iterdir()):
        place.unlink()
    (job.ledger / "summary.json").unlink()
    report_job(str(job.output))
    assert "No row has been committed yet" in page(job)
    assert shown(job)["rows.ok"] == (0, "0")


def test_without_a_job_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no batchfim job found"):
        report_job(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_texts_that_did_not_ride_along_are_said_to_be_missing(job: Job) -> None:
    job.run("input.keep=[id]")
    assert "are not in the output" in page(job)
