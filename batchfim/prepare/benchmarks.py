"""Records from benchmarks in their published formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchfim.errors import ConfigError
from batchfim.prepare.code import COLUMNS
from batchfim.prepare.ids import IdRegister
from batchfim.prepare.json_lines import Line
from batchfim.prepare.parquet_lines import read_records
from batchfim.prepare.report import PrepareReport, Tally
from batchfim.prepare.texts import language_of
from batchfim.prepare.writer import Row, write_records
from batchfim.records import CONTEXT_TYPE, FILE_SIDES

_RIGHTS = ("full_right_context", "right_context")
_HUMANEVAL_KINDS = {
    "SingleLineInfilling": "line",
    "MultiLineInfilling": "multi_line",
    "RandomSpanInfilling": "random_span",
    "RandomSpanInfillingLight": "random_span_light",
}
# How SAFIM's prompts mark the hole (`prompt_utils.py`).
_SAFIM_HOLES = ("# TODO: Your code here", "/* TODO: Your code here */")
_SAFIM_FILE_HOLE = "{{completion}}"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a benchmark's lines become records."""

    id_field: str  # for messages
    row: Callable[[Line], Row]
    more: Mapping[str, pa.DataType]  # columns in addition to COLUMNS


def prepare_benchmark(
    shape: str, files: Sequence[Path], out: Path, *, overwrite: bool = False
) -> PrepareReport:
    """Turn a benchmark's JSON lines (gzip or not) or Parquet into records, in the files' order.

    Args:
        shape: a key of SHAPES; its columns are written in addition to COLUMNS.
        files: the published files.
        out: folder for the records.
        overwrite: replace Parquet files in `out`.

    Raises:
        InputError: a line cannot become a record; the message has file, line and field.
        ConfigError: no files were given.
        OutputError: `out` cannot take the records.
    """
    if not files:
        raise ConfigError(f"no input files given; give at least one {shape} file")
    found, tally = SHAPES[shape], Tally()
    schema = pa.schema([(name, pa.string()) for name in COLUMNS] + list(found.more.items()))
    rows = _rows(files, found, tally)
    num_rows = write_records(out, schema, rows, sources=files, overwrite=overwrite)
    return tally.report(out, num_rows)


def _rows(files: Sequence[Path], shape: Shape, tally: Tally) -> Iterator[Row]:
    with closing(IdRegister()) as ids:
        for file in files:
            for line in read_records(file):
                row = shape.row(line)
                ids.add(row["id"], file, line.number, shape.id_field)
                tally.kinds[row["kind"]] += 1
                yield row
            tally.num_files += 1


def humaneval_infilling(line: Line) -> Row:
    """Make a row from a line of openai/human-eval-infilling.

    Middles stay as published: `line` and `multi_line` end with their newline, and some
    `random_span` are empty.
    """
    task_id = line.text("task_id")
    benchmark = task_id.partition("/")[0]
    if benchmark not in _HUMANEVAL_KINDS:
        raise line.error(
            "task_id",
            f"starts with {benchmark!r}, expected one of {', '.join(_HUMANEVAL_KINDS)}; "
            "give a HumanEval-Infilling file (for other files, use `batchfim prepare jsonl`)",
        )
    return _record(
        id=task_id,
        prefix=line.text("prompt"),
        suffix=line.text("suffix"),
        middle_reference=line.text("canonical_solution"),
        language="python",
        kind=_HUMANEVAL_KINDS[benchmark],
        task_id=task_id,
        entry_point=line.text("entry_point"),
        test=line.text("test"),
    )


def safim(line: Line) -> Row:
    """Make a row from a line of gonglinyuan/safim.

    `prompt` marks the hole with a placeholder; the kind comes from `task_id`. A prompt describes
    the problem in words before the code; `file_prefix` and `file_suffix` hold only the code, taken
    from `eval_prompt`. `unit_tests` are dropped: they are inputs and outputs of programs in four
    languages.
    """
    prompt = line.text("prompt")
    hole = next((hole for hole in _SAFIM_HOLES if prompt.count(hole) == 1), None)
    if hole is None:
        wanted = " or ".join(map(repr, _SAFIM_HOLES))
        raise line.error("prompt", f"must contain {wanted} exactly once; give a SAFIM file")
    prefix, _, suffix = prompt.partition(hole)
    task_id, file = line.text("task_id"), (prefix, suffix)
    if line.fields.get("eval_prompt") is not None and _SAFIM_FILE_HOLE in line.text("eval_prompt"):
        before, _, after = line.text("eval_prompt").partition(_SAFIM_FILE_HOLE)
        file = before, after
    return _record(
        id=task_id,
        prefix=prefix,
        suffix=suffix,
        middle_reference=line.text("ground_truth"),
        language=line.text("lang"),
        kind=task_id.rpartition("_")[0] or "safim",
        file_prefix=file[0],
        file_suffix=file[1],
    )


def crosscodeeval(line: Line) -> Row:
    """Make a row from a line of amazon-science/cceval or fim-bench's cceval, cclongeval, repoeval.

    The chunks of other files (`crossfile_context`, if a line has it) become the context. They are
    published best first and written best last, so that the best is next to the hole.
    `full_right_context` takes precedence over `right_context`, as in fim-bench.
    """
    about = line.inner("metadata")
    right = next((name for name in _RIGHTS if name in line.fields), None)
    path = about.text("file") if "file" in about.fields else None
    return _record(
        id=about.text("task_id"),
        prefix=line.text("prompt"),
        suffix=line.text(right) if right else "",
        middle_reference=line.text("groundtruth"),
        language=language_of(path) if path else None,
        path=path,
        kind="statement",
        repo=about.text("repository") if "repository" in about.fields else None,
        context=_context(line),
    )


def santacoder(line: Line) -> Row:
    """Make a row from a line of bigcode/santacoder-fim-task, which is also fim-bench's hm_fim.

    The hole is one line of a function. `tests` becomes `test`; only Python tests are ever run.
    """
    language = line.text("language")
    return _record(
        id=f"{language}/{line.text('name')}/{line.number}",
        prefix=line.text("prompt"),
        suffix=line.text("suffix"),
        middle_reference=line.text("canonical_solution"),
        language={"py": "python", "js": "javascript"}.get(language, language),
        kind="line",
        name=line.text("name"),
        test=line.text("tests"),
    )


def _record(**values: Any) -> Row:
    return dict.fromkeys(COLUMNS) | values


def _context(line: Line) -> list[dict[str, str]]:
    context = line.fields.get("crossfile_context")
    if not context:
        return []
    if isinstance(context, str):
        return [{"path": "", "text": line.text("crossfile_context")}]
    chunks = line.inner("crossfile_context").inners("list")
    return [
        {"path": chunk.text("filename"), "text": chunk.text("retrieved_chunk")}
        for chunk in reversed(chunks)
    ]


_HUMANEVAL_COLUMNS = dict.fromkeys(("task_id", "entry_point", "test"), pa.string())
SHAPES = {
    "humaneval-infilling": Shape("task_id", humaneval_infilling, _HUMANEVAL_COLUMNS),
    "safim": Shape("task_id", safim, dict.fromkeys(FILE_SIDES, pa.string())),
    "crosscodeeval": Shape(
        "task_id", crosscodeeval, {"repo": pa.string(), "context": CONTEXT_TYPE}
    ),
    "santacoder-fim": Shape("name", santacoder, {"name": pa.string(), "test": pa.string()}),
}
