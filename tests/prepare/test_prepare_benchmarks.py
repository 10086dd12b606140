"""Benchmarks in their published shapes, each by a line as published (texts shortened)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from batchfim.errors import ConfigError, InputError
from batchfim.prepare import prepare_benchmark
from batchfim.prepare.cli import prepare_app

SAFIM: dict[str, Any] = {
    "task_id": "block_completion_000001",
    "lang": "java",
    "prompt": "class A { void f() {\n    /* TODO: Your code here */\n} }",
    "eval_prompt": "class A { void f() {\n    {{completion}}\n} }",
    "ground_truth": "g();",
    "unit_tests": [{"input": "1", "output": ["2"]}],
}
CCEVAL: dict[str, Any] = {
    "prompt": "import a\n\nold_tail = decode(generator.",
    "groundtruth": "sequence[0])",
    "right_context": "\nnext_token = 1\n",
    "metadata": {
        "task_id": "project_cc_python/62",
        "repository": "turboderp-exllama-a544085",
        "file": "example_ws.py",
        "context_start_lineno": 0,
    },
    "crossfile_context": {
        "text": "# Here are some relevant code fragments\n",
        "list": [
            {"retrieved_chunk": "best", "filename": "a.py", "score": 52.2},
            {"retrieved_chunk": "second", "filename": "b.py", "score": 33.9},
        ],
    },
}
SANTACODER: dict[str, Any] = {
    "name": "HumanEval_23_strlen",
    "language": "py",
    "prompt": "def strlen(string: str) -> int:\n",
    "suffix": "",
    "canonical_solution": "    return len(string)",
    "tests": "def check(candidate):\n    assert candidate('') == 0\ncheck(strlen)\n",
}
LINES = {"safim": SAFIM, "crosscodeeval": CCEVAL, "santacoder-fim": SANTACODER}
WANTED: dict[str, dict[str, Any]] = {
    "safim": {
        "id": "block_completion_000001",
        "prefix": "class A { void f() {\n    ",
        "suffix": "\n} }",
        "middle_reference": "g();",
        "language": "java",
        "path": None,
        "kind": "block_completion",
        "file_prefix": "class A { void f() {\n    ",
        "file_suffix": "\n} }",
    },
    "crosscodeeval": {
        "id": "project_cc_python/62",
        "prefix": CCEVAL["prompt"],
        "suffix": "\nnext_token = 1\n",
        "middle_reference": "sequence[0])",
        "language": "python",
        "path": "example_ws.py",
        "kind": "statement",
        "repo": "turboderp-exllama-a544085",
        "context": [{"path": "b.py", "text": "second"}, {"path": "a.py", "text": "best"}],
    },
    "santacoder-fim": {
        "id": "py/HumanEval_23_strlen/1",
        "prefix": SANTACODER["prompt"],
        "suffix": "",
        "middle_reference": "    return len(string)",
        "language": "python",
        "path": None,
        "kind": "line",
        "name": "HumanEval_23_strlen",
        "test": SANTACODER["tests"],
    },
}


def write(file: Path, *lines: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("shape", LINES)
@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "parquet"])
def test_a_published_line_becomes_a_record(shape: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / f"test.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([LINES[shape]]), file)
    elif form == "jsonl.gz":
        file.write_bytes(gzip.compress(json.dumps(LINES[shape]).encode()))
    else:
        write(file, LINES[shape])
    out = tmp_path / "out"
    command = [shape, str(file), "-o", str(out)]
    result = CliRunner().invoke(prepare_app, command, catch_exceptions=False)
    assert result.output.startswith("1 records")
    assert pq.read_table(out).to_pylist() == [WANTED[shape]]


def test_crosscodeeval_may_lack_other_files_and_the_right_side(tmp_path: Path) -> None:
    bare = {name: CCEVAL[name] for name in ("prompt", "groundtruth")}
    bare["metadata"] = {"task_id": "random_span/1"}
    prepare_benchmark("crosscodeeval", [write(tmp_path / "a.jsonl", bare)], tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["suffix"], row["language"], row["path"], row["repo"]) == ("", None, None, None)
    assert row["context"] == []


def test_fim_benchs_long_right_side_and_plain_context_are_taken(tmp_path: Path) -> None:
    line = CCEVAL | {"full_right_context": "\nall of it\n", "crossfile_context": "# other files"}
    prepare_benchmark("crosscodeeval", [write(tmp_path / "a.jsonl", line)], tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert row["suffix"] == "\nall of it\n"
    assert row["context"] == [{"path": "", "text": "# other files"}]


def test_safims_file_is_without_the_problem_in_words(tmp_path: Path) -> None:
    line = SAFIM | {"prompt": f"Description: add.\n\n{SAFIM['prompt']}"}
    prepare_benchmark("safim", [write(tmp_path / "a.jsonl", line)], tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert row["prefix"].startswith("Description: add.")
    assert (row["file_prefix"], row["file_suffix"]) == ("class A { void f() {\n    ", "\n} }")


@pytest.mark.parametrize("gone", [{"eval_prompt": "no hole"}, {"eval_prompt": None}])
def test_without_a_file_of_its_own_safims_prompt_is_the_file(
    tmp_path: Path, gone: dict[str, str | None]
) -> None:
    prepare_benchmark("safim", [write(tmp_path / "a.jsonl", SAFIM | gone)], tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["file_prefix"], row["file_suffix"]) == (row["prefix"], row["suffix"])


def test_safims_python_hole_is_a_comment(tmp_path: Path) -> None:
    line = SAFIM | {"lang": "python", "prompt": "if # TODO: Your code here\n    f()\n"}
    prepare_benchmark("safim", [write(tmp_path / "a.jsonl", line)], tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["prefix"], row["suffix"]) == ("if ", "\n    f()\n")


@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        (
            "safim",
            {"prompt": "x"},
            r"a.jsonl:2: field 'prompt': must contain '# TODO: Your code here'",
        ),
        ("safim", {"ground_truth": 1}, r"a.jsonl:2: field 'ground_truth': expected text"),
        ("safim", {}, r"a.jsonl:2: field 'task_id': duplicate id .*, first used at"),
        ("crosscodeeval", {"metadata": "x"}, r"a.jsonl:2: field 'metadata': expected an object"),
        ("crosscodeeval", {"metadata": {}}, r"a.jsonl:2: no field 'task_id'"),
        (
            *("crosscodeeval", {"metadata": {"task_id": "b"}, "crossfile_context": {"list": 1}}),
            r"a.jsonl:2: field 'list': expected a list of objects, found the number 1",
        ),
    ],
)
def test_a_bad_line_is_named(
    shape: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.jsonl", LINES[shape], LINES[shape] | change)
    with pytest.raises(InputError, match=message):
        prepare_benchmark(shape, [file], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_or_empty_parquet_and_no_file_are_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"task_id": pa.array([], pa.string())}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b.parquet: empty, expected at least one row"):
        prepare_benchmark("safim", [tmp_path / "b.parquet"], tmp_path / "out")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(
        InputError, match=r"a.parquet: cannot read the Parquet file after 0 good rows"
    ):
        prepare_benchmark("safim", [tmp_path / "a.parquet"], tmp_path / "out")
    with pytest.raises(ConfigError, match="no input files given; give at least one safim file"):
        prepare_benchmark("safim", [], tmp_path / "out")
