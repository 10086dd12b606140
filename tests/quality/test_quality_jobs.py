"""`batchfim evaluate` on the outputs of whole jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from typer.testing import CliRunner

from batchfim.api import evaluate_job
from batchfim.cli import app
from batchfim.errors import InputError, OutputError, StorageError
from batchfim.quality.options import Options
from tests.quality.conftest import RunJob, columns

REFERENCES = Options(middle="middle_reference")


def test_references_score_one_against_themselves(run: RunJob) -> None:
    found = evaluate_job(run(**columns(20)), REFERENCES)
    for name in ("exact_match", "first_line", "edit_similarity", "chrf", "valid_syntax"):
        score = found["overall"][name]
        assert (score["value"], score["high"], score["rows"]) == (1.0, 1.0, 20)
        assert 0.8 < score["low"] < 0.9  # 20 rows tell no more


def test_the_means_are_those_of_the_rows_in_all_and_by_group(run: RunJob) -> None:
    kinds = ["line" if row % 3 else "span" for row in range(40)]
    output = run("sampling.n=3", "sampling.temperature=1", **columns(40, kind=kinds))
    found = evaluate_job(output)
    rows = ds.dataset(f"{output}/_batchfim/evaluation").to_table().to_pylist()
    assert found["rows"] | {"ok": 120, "records": 40} == found["rows"]
    assert len(rows) == found["overall"]["rows"] == 120
    assert {row["kind"] for row in rows} == found["by"]["kind"].keys()
    for metric in found["metrics"]:
        name = metric["name"]
        for group, told in [(None, found["overall"]), *found["by"]["kind"].items()]:
            values = [row[name] for row in rows if group in (None, row["kind"])]
            mean = sum(values) / len(values)
            assert told[name]["value"] == pytest.approx(mean, abs=1e-6)
            assert told[name]["low"] <= told[name]["value"] <= told[name]["high"]
            assert told[name]["rows"] == len(values)


def test_each_score_row_names_its_output_row(run: RunJob) -> None:
    output = run(**columns(20))
    evaluate_job(output)
    for row in ds.dataset(f"{output}/_batchfim/evaluation").to_table().to_pylist():
        part = ds.dataset(f"{output}/part-{row['part']}.parquet").to_table().to_pylist()
        assert (part[row["row"]]["id"], part[row["row"]]["sample"]) == (row["id"], row["sample"])


def test_two_evaluations_give_the_same_file_and_the_output_stays_whole(run: RunJob) -> None:
    output = run(**columns(30))
    place = Path(output, "_batchfim", "evaluation.json")
    evaluate_job(output)
    first = place.read_bytes()
    found = evaluate_job(output)
    assert place.read_bytes() == first
    assert json.loads(first) == found
    assert CliRunner().invoke(app, ["verify", output]).exit_code == 0


def test_each_score_is_of_the_last_evaluation(run: RunJob) -> None:
    output = run(**columns(30))
    names = [evaluate_job(output, options)["scores"] for options in (REFERENCES, Options())]
    folder = Path(output, "_batchfim", "evaluation")
    assert [file.name for file in folder.iterdir()] == names[1] != names[0]
    assert ds.dataset(folder).count_rows() == 30


def test_without_references_the_rest_is_measured_and_said(run: RunJob) -> None:
    given = columns(10)
    del given["middle_reference"]
    found = evaluate_job(run(**given))
    assert "exact_match" not in found["overall"]
    assert found["overall"]["valid_syntax"]["rows"] == 10
    assert "no column middle_reference" in found["notes"][0]
    assert "--reference" in found["notes"][0]


def test_rows_without_a_reference_are_counted_and_left_out(run: RunJob) -> None:
    found = evaluate_job(run(**columns(10, middle_reference=["x"] * 6 + [None] * 4)))
    assert found["overall"]["exact_match"]["rows"] == 6
    assert found["rows"]["without_reference"] == 4
    assert "4 rows have no middle_reference" in found["notes"][0]


def test_files_that_are_wrong_with_their_reference_do_not_count_as_syntax(run: RunJob) -> None:
    references = ["x + 1"] * 7 + ["x +"] * 3
    found = evaluate_job(run(**columns(10, middle_reference=references)))
    assert found["overall"]["valid_syntax"]["rows"] == 7


def test_an_output_without_successful_rows_says_so(run: RunJob) -> None:
    output = run(**columns(3, prefix=pa.nulls(3, pa.string())))
    with pytest.raises(InputError, match=r"no row is ok \(3 rejected, 0 failed\)"):
        evaluate_job(output)


@pytest.mark.parametrize("option", ["middle", "reference"])
def test_a_column_that_is_missing_is_named_with_those_there_are(run: RunJob, option: str) -> None:
    output = run(**columns(3))
    with pytest.raises(InputError, match=rf"--{option}: column 'gold' does not exist.*middle_ref"):
        evaluate_job(output, Options(**{option: "gold"}))
    with pytest.raises(InputError, match=rf"--{option}: column 'sample' is not text"):
        evaluate_job(output, Options(**{option: "sample"}))


def test_no_job_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no batchfim job found"):
        evaluate_job(str(tmp_path))


def test_the_command_shows_each_metric_with_its_interval_and_the_groups(run: RunJob) -> None:
    output = run(**columns(20, kind=["line", "a\x1b[31mb"] * 10))
    shown = CliRunner().invoke(app, ["evaluate", output], catch_exceptions=False).output
    assert "95% interval" in shown
    assert "chrF" in shown
    assert r"a\x1b[31mb" in shown
    as_json = CliRunner().invoke(app, ["evaluate", output, "--json"], catch_exceptions=False)
    assert json.loads(as_json.output)["overall"]["rows"] == 20


def test_what_looks_like_markup_is_shown_as_it_is(run: RunJob) -> None:
    output = run(**columns(20, kind=["[/b]", "list[int] :x:"] * 10))
    shown = CliRunner().invoke(app, ["evaluate", output], catch_exceptions=False).output
    assert "\n[/b] " in shown
    assert "\nlist[int] :x: " in shown


def test_an_id_that_is_not_utf8_does_not_stop_its_neighbours(run: RunJob) -> None:
    output = run(**columns(3, id=pa.array([b"a", b"\xff", b"c"]).view(pa.string())))
    evaluate_job(output)
    scores = ds.dataset(f"{output}/_batchfim/evaluation").to_table()
    assert scores["id"].to_pylist() == ["a", "\ufffd", "c"]


def test_a_rule_that_cuts_the_references_themselves_is_said(run: RunJob) -> None:
    output = run(**columns(10, middle_reference=["x + 1"] * 7 + ["x\ny"] * 3))
    found = evaluate_job(output, Options(middle="middle_reference", rule="fim-bench"))
    assert found["overall"]["exact_match"]["value"] == 0.7
    assert found["rule"] == "fim-bench"
    assert "rule fim-bench also truncates 3 of the references" in found["notes"][0]


def test_an_evaluation_does_without_no_part(run: RunJob) -> None:
    output = run("schedule.shard_rows=2", **columns(4))
    min(Path(output).glob("part-*.parquet")).unlink()
    with pytest.raises(StorageError, match="1 parts are missing; run the job again"):
        evaluate_job(output)
