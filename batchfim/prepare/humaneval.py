"""Records from openai/human-eval-infilling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from batchfim.errors import ConfigError
from batchfim.prepare.code import COLUMNS
from batchfim.prepare.ids import IdRegister
from batchfim.prepare.json_lines import Line, read_lines
from batchfim.prepare.report import PrepareReport, Tally
from batchfim.prepare.writer import Row, write_records

_KINDS = {
    "SingleLineInfilling": "line",
    "MultiLineInfilling": "multi_line",
    "RandomSpanInfilling": "random_span",
    "RandomSpanInfillingLight": "random_span_light",
}
_SCHEMA = pa.schema([(name, pa.string()) for name in (*COLUMNS, "task_id", "entry_point", "test")])


def prepare_humaneval(
    files: Sequence[Path], out: Path, *, overwrite: bool = False
) -> PrepareReport:
    """Turn the benchmark's JSON lines (gzip or not) into records in `out`, in the files' order.

    Columns: id (= task_id), prefix (`prompt`), suffix, middle_reference (`canonical_solution`),
    language `python`, path null, kind (from the task_id), task_id, entry_point, test.
    The middle is as published: `line` and `multi_line` end in their newline, and some
    `random_span` are empty.
    Raises InputError, naming file, line and field; ConfigError without files; OutputError.
    Source: https://github.com/openai/human-eval-infilling
    """
    if not files:
        raise ConfigError("no file named; expected at least one HumanEval-Infilling file")
    tally = Tally()
    rows = _rows(files, tally)
    num_rows = write_records(out, _SCHEMA, rows, sources=files, overwrite=overwrite)
    return tally.report(out, num_rows)


def _rows(files: Sequence[Path], tally: Tally) -> Iterator[Row]:
    with closing(IdRegister()) as ids:
        for file in files:
            for line in read_lines(file):
                row = _row(line)
                ids.add(line.text("task_id"), file, line.number, "task_id")
                tally.kinds[_kind(line)] += 1
                yield row
            tally.num_files += 1


def _row(line: Line) -> Row:
    return {
        "id": line.text("task_id"),
        "prefix": line.text("prompt"),
        "suffix": line.text("suffix"),
        "middle_reference": line.text("canonical_solution"),
        "language": "python",
        "path": None,
        "kind": _kind(line),
        "task_id": line.text("task_id"),
        "entry_point": line.text("entry_point"),
        "test": line.text("test"),
    }


def _kind(line: Line) -> str:
    benchmark = line.text("task_id").partition("/")[0]
    if benchmark not in _KINDS:
        raise line.error(
            "task_id",
            f"starts with {benchmark!r}; expected one of {', '.join(_KINDS)}: "
            "name a file of HumanEval-Infilling (for other files there is `prepare jsonl`)",
        )
    return _KINDS[benchmark]
