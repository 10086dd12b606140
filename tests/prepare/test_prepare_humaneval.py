"""`prepare humaneval-infilling`, on the real data where it is at hand."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from batchfim.errors import ConfigError, InputError
from batchfim.prepare import prepare_benchmark
from batchfim.prepare.cli import prepare_app

ONE: dict[str, Any] = {
    "task_id": "SingleLineInfilling/HumanEval/0/L0",
    "entry_point": "f",
    "prompt": "def f():\n",
    "suffix": "",
    "canonical_solution": "    return 1\n",
    "test": "assert f() == 1\n",
}


@pytest.fixture
def real() -> Path:
    """The benchmark's folder: below BATCHFIM_SHARED, or `../shared` beside the checkout."""
    beside = Path(__file__).parents[2].parent / "shared"
    shared = Path(os.environ.get("BATCHFIM_SHARED", beside))
    folder = shared / "data" / "humaneval-infilling"
    if not folder.is_dir():
        pytest.skip(f"no HumanEval-Infilling data in {folder}; set BATCHFIM_SHARED")
    return folder


def write(file: Path, *objects: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return file


@pytest.mark.parametrize(
    ("name", "kind", "num_rows"),
    [
        ("SingleLineInfilling", "line", 1033),
        ("MultiLineInfilling", "multi_line", 5815),
        ("RandomSpanInfilling", "random_span", 1640),
        ("RandomSpanInfillingLight", "random_span_light", 164),
    ],
)
def test_real_files_convert_whole(
    real: Path, tmp_path: Path, name: str, kind: str, num_rows: int
) -> None:
    file = real / f"HumanEval-{name}.jsonl.gz"
    report = prepare_benchmark("humaneval-infilling", [file], tmp_path / "out")
    assert report.rows_by_kind == {kind: num_rows}
    rows = pq.read_table(tmp_path / "out").to_pylist()
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        published = [json.loads(line) for line in lines]
    assert len({row["id"] for row in rows}) == num_rows
    for row, source in zip(rows, published, strict=True):
        whole = source["prompt"] + source["canonical_solution"] + source["suffix"]
        assert row["prefix"] + row["middle_reference"] + row["suffix"] == whole
        assert row["id"] == row["task_id"] == source["task_id"]
        assert (row["entry_point"], row["test"]) == (source["entry_point"], source["test"])
        assert (row["kind"], row["language"], row["path"]) == (kind, "python", None)


def test_real_holes_of_a_function_make_one_function(real: Path, tmp_path: Path) -> None:
    files = [real / f"HumanEval-{name}Infilling.jsonl.gz" for name in ("SingleLine", "MultiLine")]
    prepare_benchmark("humaneval-infilling", files, tmp_path / "out")
    wholes: dict[str, set[str]] = {}
    for row in pq.read_table(tmp_path / "out").to_pylist():
        function = row["task_id"].split("/")[2]
        whole = row["prefix"] + row["middle_reference"] + row["suffix"]
        # Published texts differ in one blank line, at the head of the function's body.
        wholes.setdefault(function, set()).add("\n".join(whole.split()))
    assert len(wholes) == 164
    assert {len(texts) for texts in wholes.values()} == {1}


def test_fields_become_columns_and_an_empty_middle_is_taken(tmp_path: Path) -> None:
    task = "RandomSpanInfillingLight/HumanEval/0/1"
    light = {**ONE, "task_id": task, "canonical_solution": ""}
    assert (
        prepare_benchmark(
            "humaneval-infilling", [write(tmp_path / "a", ONE, light)], tmp_path / "out"
        ).num_rows
        == 2
    )
    first, second = pq.read_table(tmp_path / "out").to_pylist()
    assert first == {
        "id": ONE["task_id"],
        "prefix": "def f():\n",
        "suffix": "",
        "middle_reference": "    return 1\n",
        "language": "python",
        "path": None,
        "kind": "line",
        "task_id": ONE["task_id"],
        "entry_point": "f",
        "test": "assert f() == 1\n",
    }
    changed = {"id": task, "task_id": task, "kind": "random_span_light", "middle_reference": ""}
    assert second == first | changed


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({**ONE, "task_id": "HumanEval/0"}, r"a.jsonl:2: field 'task_id': .*SingleLineInfilling"),
        ({"task_id": ONE["task_id"]}, r"a.jsonl:2: no field 'prompt' \(this line has 'task_id'\)"),
        ({**ONE, "test": 3}, r"a.jsonl:2: field 'test': expected text, found the number 3"),
        (ONE, r"a.jsonl:2: field 'task_id': duplicate id .*, first used at .*a.jsonl:1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    file = write(tmp_path / "a.jsonl", ONE, second)
    with pytest.raises(InputError, match=message):
        prepare_benchmark("humaneval-infilling", [file], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_task_in_two_files_is_refused(tmp_path: Path) -> None:
    files = [write(tmp_path / name, ONE) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(
        InputError, match=r"b.jsonl:1: .*duplicate id .*, first used at .*a.jsonl:1"
    ):
        prepare_benchmark("humaneval-infilling", files, tmp_path / "out")
    with pytest.raises(ConfigError, match="no input files given"):
        prepare_benchmark("humaneval-infilling", [], tmp_path / "out")


def test_command_prints_one_line_of_counts(tmp_path: Path) -> None:
    file, out = write(tmp_path / "a.jsonl", ONE), tmp_path / "out"
    arguments = ["humaneval-infilling", str(file), "-o", str(out)]
    result = CliRunner().invoke(prepare_app, arguments, catch_exceptions=False)
    assert result.output == f"1 records (line 1) from 1 files, 0 skipped: {out}\n"
