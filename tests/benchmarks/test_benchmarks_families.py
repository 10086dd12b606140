"""Models compared: what is worked out of their rows, and comparisons on the simulated engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batchfim.errors import ConfigError
from benchmarks.compare_families import compare
from benchmarks.families.contexts import common_room, room_note
from benchmarks.families.entries import open_entries
from benchmarks.families.notes import notes_of
from benchmarks.families.pareto import pareto
from benchmarks.families.rows import Row, cost_of, speed_of, with_fronts
from benchmarks.families.table import faults, markdown_table
from tests.benchmarks.comparing import DEMO, comparison, told

GONE = {"name": "gone", "path": "/nowhere/model"}


def run(num: int, records: int, run_s: float) -> dict[str, Any]:
    """A run as `summary.json` has it: 10 prompt tokens a record, half of them cached."""
    tokens = {"prompt": 10, "cached": 5, "computed": 5, "completion": 2, "kept": 1}
    rates = {name: records * each / run_s for name, each in tokens.items()}
    figures = {"records": records, "rows": records, "run_s": run_s, "tokens_per_s": rates}
    return figures | {"engine_start_s": float(num), "workers": 1, "engines": []}


def test_the_front_is_what_no_other_point_beats() -> None:
    assert pareto([(1.0, 1.0), (2.0, 1.0), (1.0, 3.0), None, (0.5, 2.0)]) == [
        *(False, True, True, False, False),
    ]
    assert pareto([(1.0, 1.0), (1.0, 1.0)]) == [True, True]


def test_every_model_gets_the_room_of_the_smallest() -> None:
    rooms = {"a": 448, "b": None, "c": 1000}
    assert common_room(rooms) == 448
    assert common_room({"b": None}) is None
    assert "the room of a, the smallest; 2 others have more" in room_note(rooms)
    assert "this is the room of every model" in room_note({"a": 448, "d": 448})


def test_speed_is_over_all_runs_and_starts_are_apart() -> None:
    speed = speed_of([run(4, 30, 2.0), run(8, 10, 2.0)])
    assert speed is not None
    assert (speed.runs, speed.rows, speed.start_s) == (2, 40, 6.0)
    assert speed.records_per_s == 10.0
    assert speed.tokens_per_s["computed"] == pytest.approx(50.0)
    assert speed_of([]) is None


def test_cost_is_of_the_middles_that_are_ok() -> None:
    speed = speed_of([run(0, 100, 36.0)])
    half = {"rows": 100, "ok": 50}
    assert cost_of(speed, half, engines=2, price=3.0) == pytest.approx(2 * 3.0 * 0.01 / 50 * 1000)
    assert cost_of(speed, half, engines=2, price=None) is None
    assert cost_of(speed, {"rows": 100, "ok": 0}, engines=2, price=3.0) is None


def test_rows_on_unlike_machines_or_of_unlike_middles_are_said_to_be() -> None:
    quality = {"chrf": {"value": 0.5, "low": 0.4, "high": 0.6, "rows": 9}}
    rows = [
        Row("a", "a", "a", "psm", quality=quality, rows={"ok": 9, "rows": 10}, hosts=["one"]),
        Row("b", "b", "b", "psm", quality=quality, rows={"ok": 10, "rows": 10}, hosts=["two"]),
    ]
    notes = " ".join(notes_of(rows))
    assert "several machines (one, two)" in notes
    assert "whose numbers differ: a 9, b 10" in notes
    assert [row.fronts for row in with_fronts(rows, "chrf")] == [[], []]  # no speed, no front


def test_one_model_fails_and_the_others_are_compared(tmp_path: Path, records: Path) -> None:
    compared = comparison(tmp_path, records, GONE, DEMO, price_per_gpu_hour=2.0)
    code, _ = compare(compared, tmp_path / "out")
    rows = told(tmp_path / "out")
    assert code == 1
    assert list(rows) == ["gone", "demo-psm", "demo-spm_v2"]
    assert rows["gone"]["state"] == "failed"
    assert "/nowhere/model" in rows["gone"]["error"]
    for name in ("demo-psm", "demo-spm_v2"):
        assert rows[name]["state"] == "complete"
        assert rows[name]["quality"]["edit_similarity"]["rows"] == 20
        assert rows[name]["cost"] > 0
        assert (tmp_path / "out" / name / "_batchfim" / "evaluation.json").exists()
    assert any(rows[name]["fronts"] for name in rows)


def test_a_second_call_redoes_nothing(tmp_path: Path, records: Path) -> None:
    compared, out = comparison(tmp_path, records, DEMO), tmp_path / "out"
    assert compare(compared, out)[0] == 0
    before = {file: file.stat().st_mtime_ns for file in out.glob("*/part-*.parquet")}
    judged = {file: file.stat().st_mtime_ns for file in out.glob("*/_batchfim/evaluation.json")}
    rows = told(out)
    assert compare(compared, out)[0] == 0
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert {file: file.stat().st_mtime_ns for file in judged} == judged
    assert len(before) >= 2
    assert told(out) == rows


def test_without_references_quality_is_empty_and_says_why(tmp_path: Path, records: Path) -> None:
    bare = pq.read_table(records).drop_columns(["middle_reference"])
    pq.write_table(bare, records)
    compared = comparison(tmp_path, records, DEMO)
    assert compare(compared, tmp_path / "out")[0] == 0
    row = told(tmp_path / "out")["demo-psm"]
    assert row["quality"] == {}
    assert "no column middle_reference" in row["no_quality"]
    assert row["speed"]["records_per_s"] > 0


def test_dummy_weights_have_a_speed_and_no_quality(tmp_path: Path, records: Path) -> None:
    model = DEMO | {"load_format": "dummy", "orders": ["psm"]}
    compared = comparison(tmp_path, records, model)
    (entry,) = open_entries(compared, tmp_path / "out")
    assert entry.config is not None
    assert entry.config.engine.args["load_format"] == "dummy"
    assert compare(compared, tmp_path / "out")[0] == 0
    row = told(tmp_path / "out")["demo-psm"]
    assert (row["weights"], row["quality"]) == ("dummy", {})
    assert "dummies" in row["no_quality"]
    assert row["speed"]["records_per_s"] > 0


def test_a_context_that_is_too_short_fails_alone(tmp_path: Path, records: Path) -> None:
    compared = comparison(tmp_path, records, DEMO, engine={"max_model_len": 8})
    (entry, _) = open_entries(compared, tmp_path / "out")
    assert entry.config is None
    assert "no room for a prompt in addition to sampling.max_tokens 8" in str(entry.error)


@pytest.mark.parametrize(
    ("models", "more", "told"),
    [
        ([DEMO | {"nmae": "x"}], {}, "models.0.nmae: unknown key; did you mean 'name'?"),
        ([DEMO, DEMO], {}, "two models have the same name"),
        ([DEMO | {"name": "../x"}], {}, "models.0.name"),
        ([DEMO | {"engine": {"max_model_len": 9}}], {}, "shared by all models"),
        ([DEMO], {"model": {"path": "demo"}}, "not shared; set it per model"),
        ([DEMO], {"sampling": {"max_tokns": 9}}, "did you mean 'max_tokens'?"),
    ],
)
def test_what_is_wrong_is_named(
    models: list[dict[str, Any]], more: dict[str, Any], told: str, tmp_path: Path, records: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        comparison(tmp_path, records, *models, **more)
    assert told in str(caught.value)


def test_faults_that_are_alike_share_a_line_and_cells_cannot_break_the_table() -> None:
    rows = [Row(name, name, "x", None, state="failed", error="no") for name in ("a", "b|c")]
    assert faults(rows) == ["a, b|c: failed: no"]
    assert "| b\\|c |" in markdown_table(rows, "chrf")
