"""Records from benchmarks in their published shapes."""

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
# The hole in SAFIM's prompts (`prompt_utils.py`).
_SAFIM_HOLES = ("# TODO: Your code here", "/* TODO: Your code here */")
_SAFIM_FILE_HOLE = "{{completion}}"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a benchmark's lines become records."""

    id_field: str  # for messages
    row: Callable[[Line], Row]
    more: Mapping[str, pa.DataType]  # columns beside COLUMNS


def prepare_benchmark(
    shape: str, files: Sequence[Path], out: Path, *, overwrite: bool = False
) -> PrepareReport:
    """Turn a benchmark's JSON lines (gzip or not) or Parquet into records, in the files' order.

    Columns: COLUMNS and those of the shape, a name in SHAPES.
    Raises InputError, naming file, line and field; ConfigError without files; OutputError.
    """
    if not files:
        raise ConfigError(f"no file named; expected at least one file of {shape}")
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
    """openai/human-eval-infilling: the middle as published: `line` and `multi_line` end in their
    newline, and some `random_span` are empty.
    """
    task_id = line.text("task_id")
    benchmark = task_id.partition("/")[0]
    if benchmark not in _HUMANEVAL_KINDS:
        raise line.error(
            "task_id",
            f"starts with {benchmark!r}; expected one of {', '.join(_HUMANEVAL_KINDS)}: "
            "name a file of HumanEval-Infilling (for other files there is `prepare jsonl`)",
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
    """gonglinyuan/safim: `prompt` with a placeholder for the hole; kind from the task_id.

    Before the code, a prompt has the problem in words; `file_prefix` and `file_suffix` are the code
    alone, of `eval_prompt`. Its `unit_tests` are programs' inputs and outputs in four languages:
    they are not taken.
    """
    prompt = line.text("prompt")
    hole = next((hole for hole in _SAFIM_HOLES if prompt.count(hole) == 1), None)
    if hole is None:
        wanted = " or ".join(map(repr, _SAFIM_HOLES))
        raise line.error("prompt", f"expected {wanted} in it, once: name a file of SAFIM")
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
    """amazon-science/cceval, and what has its shape: fim-bench's cceval, cclongeval, repoeval.

    The chunks of other files (`crossfile_context`, where a line has them) become the context, the
    best last, next to the hole; their order there is by score. `full_right_context` comes before
    `right_context`, as in fim-bench.
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
    """bigcode/santacoder-fim-task, which fim-bench's hm_fim is as well: one line of a function.

    `tests` become `test`; only Python's are ever run.
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
