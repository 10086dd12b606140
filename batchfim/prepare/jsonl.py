"""Make records from any JSON lines or Parquet, with fields mapped by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchfim.errors import ConfigError, InputError
from batchfim.prepare.ids import IdRegister
from batchfim.prepare.json_lines import BadLine, Line, json_name
from batchfim.prepare.names import as_text
from batchfim.prepare.parquet_lines import read_records
from batchfim.prepare.report import PrepareReport, Tally
from batchfim.prepare.writer import Row, check_out, write_records

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class _Fields:
    columns: Mapping[str, str]  # output column -> input field, all text
    id_field: str | None
    keep: tuple[str, ...]

    @property
    def used(self) -> set[str | None]:
        """Input fields that become columns."""
        return {*self.columns.values(), self.id_field, *self.keep}


def prepare_jsonl(
    files: Sequence[Path],
    out: Path,
    *,
    prefix: str,
    suffix: str | None = None,
    middle: str | None = None,
    id_field: str | None = None,
    keep: Sequence[str] = (),
    skip_bad: bool = False,
    overwrite: bool = False,
) -> PrepareReport:
    """Turn JSON lines (compressed or not) or Parquet rows into records in `out`, in their order.

    The columns are id, prefix, suffix, middle_reference (if `middle` is given), then those of
    `keep`: text, 64-bit integers, or 64-bit floats if any value has a fraction; null is allowed,
    and an integer that a float column would round is a bad line.
    With `keep`, files are read twice, first to find these types.

    Args:
        files: the files, each given once.
        out: folder for the records.
        prefix: input field with the text before the hole.
        suffix: input field with the text after the hole; if None, nothing follows it.
        middle: input field with the reference middle.
        id_field: input field with a unique id; if None, the id is `<file>:<line>`, with the file
            relative to the folder that all files share.
        keep: input fields copied under their own names; the report names those left out.
        skip_bad: leave out lines that cannot become a record, and count them.
        overwrite: replace Parquet files in `out`.

    Raises:
        InputError: a line cannot become a record, or with `skip_bad` none can; the message has
            file, line and field.
        ConfigError: no files, a file given twice, or a kept field would hide a column.
        OutputError: `out` cannot take the records.
    """
    columns = {"prefix": prefix} | ({"suffix": suffix} if suffix else {})
    if middle is not None:
        columns["middle_reference"] = middle
    fields = _Fields(columns, id_field, tuple(dict.fromkeys(keep)))
    _check(files, fields)
    check_out(out, files, overwrite)
    types = _keep_types(files, fields, _ignore if skip_bad else _refuse)
    names = dict.fromkeys(("id", "prefix", "suffix", *columns))
    schema = pa.schema([(name, pa.string()) for name in names] + list(types.items()))
    tally = Tally()
    rows = _rows(files, fields, types, tally, skip_bad=skip_bad)
    num_rows = write_records(out, schema, rows, sources=files, overwrite=overwrite)
    return tally.report(out, num_rows)


def _check(files: Sequence[Path], fields: _Fields) -> None:
    if not files:
        raise ConfigError("no input files given; give at least one file of JSON lines or Parquet")
    resolved = [file.resolve() for file in files]
    for file, path in zip(files, resolved, strict=True):
        if resolved.count(path) > 1:
            raise ConfigError(f"{file}: given twice; give each file once")
    for name in fields.keep:
        if name in ("id", "suffix") or name in fields.columns:
            taken = dict.fromkeys(("id", "suffix", *fields.columns))
            raise ConfigError(
                f"--keep {name}: the records already have a column of this name; rename the field "
                f"or leave it out of --keep (taken: {', '.join(taken)})"
            )


def _refuse(error: BadLine) -> None:
    raise InputError(f"{error}; or leave out all such lines with --skip-bad") from error


def _ignore(error: BadLine) -> None:
    """A later pass counts it."""


def _rows(
    files: Sequence[Path],
    fields: _Fields,
    types: Mapping[str, pa.DataType],
    tally: Tally,
    *,
    skip_bad: bool,
) -> Iterator[Row]:
    labels, used, num_rows = _labels(files), fields.used, 0
    first_bad: list[BadLine] = []

    def bad(error: BadLine) -> None:
        if not skip_bad:
            _refuse(error)
        tally.skipped["bad lines"] += 1
        if not first_bad:
            first_bad.append(error)

    with closing(IdRegister()) as ids:
        for file in files:
            for line in read_records(file, bad):
                try:
                    row = _row(line, fields, types)
                except BadLine as error:
                    bad(error)
                    continue
                if fields.id_field is None:
                    row["id"] = f"{labels[file]}:{line.number}"
                else:
                    ids.add(row["id"], file, line.number, fields.id_field)
                tally.leave_out(name for name in line.fields if name not in used)
                num_rows += 1
                yield row
            tally.num_files += 1
    if first_bad and not num_rows:
        raise InputError(f"no line can become a record; the first: {first_bad[0]}")


def _row(line: Line, fields: _Fields, types: Mapping[str, pa.DataType]) -> dict[str, Any]:
    row: dict[str, Any] = {"suffix": ""}
    if fields.id_field is not None:
        row["id"] = _id(line, fields.id_field)
    row |= {column: line.text(field) for column, field in fields.columns.items()}
    return row | {name: _kept(line, name, types[name]) for name in fields.keep}


def _labels(files: Sequence[Path]) -> dict[Path, str]:
    folder = os.path.commonpath([file.resolve().parent for file in files])
    return {file: as_text(file.resolve().relative_to(folder)) for file in files}


def _id(line: Line, field: str) -> str:
    value = line.value(field)
    is_whole_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole_number else line.text(field)


def _kept(line: Line, field: str, data_type: pa.DataType) -> str | int | float | None:
    value: str | int | float | None = line.value(field)
    _wider(line, field, data_type, _type_of(line, field))  # raises if a bad line was passed over
    if value is None or data_type != pa.float64():
        return value
    if isinstance(value, int) and value != float(value):
        raise line.error(
            field,
            f"found {value}, which would be rounded, as other lines hold fractions; write the "
            "field as text in all lines, or leave it out of --keep",
        )
    return float(value)


def _keep_types(
    files: Sequence[Path], fields: _Fields, bad: Callable[[BadLine], None]
) -> dict[str, pa.DataType]:
    """Narrowest column type that holds every good line's value of each kept field."""
    types: dict[str, pa.DataType] = {}
    if not fields.keep:
        return types
    for line in (line for file in files for line in read_records(file, bad)):
        try:
            found = {
                field: _wider(line, field, types.get(field, pa.null()), _type_of(line, field))
                for field in fields.keep
            }
            _row(line, fields, found)
        except BadLine as error:
            bad(error)
        else:
            types |= found
    # A field that is always null still needs a type that readers know.
    return {name: pa.string() if kind == pa.null() else kind for name, kind in types.items()}


def _wider(line: Line, field: str, so_far: pa.DataType, found: pa.DataType) -> pa.DataType:
    if found == pa.null() or found == so_far:
        return so_far
    if so_far == pa.null():
        return found
    if pa.string() in (so_far, found):
        raise line.error(
            field,
            f"found {json_name(line.value(field))}, but earlier lines hold "
            f"{'text' if so_far == pa.string() else 'numbers'} and a column has one type; "
            "give all lines the same type, or leave the field out of --keep",
        )
    return pa.float64()


def _type_of(line: Line, field: str) -> pa.DataType:
    value = line.value(field)
    if value is None:
        return pa.null()
    if isinstance(value, str):
        line.text(field)  # raises if UTF-8 cannot encode it
        return pa.string()
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, int) and not isinstance(value, bool) and value in _INT64:
        return pa.int64()
    raise line.error(
        field,
        f"expected text or a 64-bit number, found {json_name(value)}; "
        "change it, or leave the field out of --keep",
    )
