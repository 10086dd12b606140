"""Make records from any JSON lines or Parquet, with fields mapped by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from batchfim.errors import ConfigError
from batchfim.prepare.ids import IdRegister
from batchfim.prepare.json_lines import Line, json_name
from batchfim.prepare.parquet_lines import read_records
from batchfim.prepare.report import PrepareReport, Tally
from batchfim.prepare.writer import Row, check_out, write_records

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class _Fields:
    columns: Mapping[str, str]  # output column -> input field, all text
    id_field: str | None
    keep: tuple[str, ...]


def prepare_jsonl(
    files: Sequence[Path],
    out: Path,
    *,
    prefix: str,
    suffix: str | None = None,
    middle: str | None = None,
    id_field: str | None = None,
    keep: Sequence[str] = (),
    overwrite: bool = False,
) -> PrepareReport:
    """Turn JSON lines (gzip or not) or Parquet rows into records in `out`, in the files' order.

    The columns are id, prefix, suffix, middle_reference (if `middle` is given), then those of
    `keep`: text, 64-bit integers, or 64-bit floats if any value has a fraction; null is allowed.
    With `keep`, files are read twice, first to find these types.

    Args:
        files: the files, each given once.
        out: folder for the records.
        prefix: input field with the text before the hole.
        suffix: input field with the text after the hole; if None, nothing follows it.
        middle: input field with the reference middle.
        id_field: input field with a unique id; if None, the id is `<file>:<line>`, with the file
            relative to the folder that all files share.
        keep: input fields copied under their own names.
        overwrite: replace Parquet files in `out`.

    Raises:
        InputError: a line cannot become a record; the message has file, line and field.
        ConfigError: no files, a file given twice, or a kept field would hide a column.
        OutputError: `out` cannot take the records.
    """
    columns = {"prefix": prefix} | ({"suffix": suffix} if suffix else {})
    if middle is not None:
        columns["middle_reference"] = middle
    fields = _Fields(columns, id_field, tuple(dict.fromkeys(keep)))
    _check(files, fields)
    check_out(out, files, overwrite)
    types = _keep_types(files, fields.keep)
    names = dict.fromkeys(("id", "prefix", "suffix", *columns))
    schema = pa.schema([(name, pa.string()) for name in names] + list(types.items()))
    tally = Tally()
    rows = _rows(files, fields, types, tally)
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


def _rows(
    files: Sequence[Path], fields: _Fields, types: Mapping[str, pa.DataType], tally: Tally
) -> Iterator[Row]:
    labels = _labels(files)
    with closing(IdRegister()) as ids:
        for file in files:
            for line in read_records(file):
                row: dict[str, str | int | float | None] = {"id": f"{labels[file]}:{line.number}"}
                if fields.id_field is not None:
                    row["id"] = given = _id(line, fields.id_field)
                    ids.add(given, file, line.number, fields.id_field)
                row["suffix"] = ""
                row |= {column: line.text(field) for column, field in fields.columns.items()}
                yield row | {name: _kept(line, name, types[name]) for name in fields.keep}
            tally.num_files += 1


def _labels(files: Sequence[Path]) -> dict[Path, str]:
    folder = os.path.commonpath([file.resolve().parent for file in files])
    return {file: file.resolve().relative_to(folder).as_posix() for file in files}


def _id(line: Line, field: str) -> str:
    value = line.value(field)
    is_whole_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole_number else line.text(field)


def _kept(line: Line, field: str, data_type: pa.DataType) -> str | int | float | None:
    value: str | int | float | None = line.value(field)
    return float(value) if value is not None and data_type == pa.float64() else value


def _keep_types(files: Sequence[Path], keep: Sequence[str]) -> dict[str, pa.DataType]:
    """Narrowest column type that holds every value of each kept field, found in one pass."""
    types: dict[str, pa.DataType] = {}
    if keep:
        for line in (line for file in files for line in read_records(file)):
            for field in keep:
                found = _type_of(line, field)
                types[field] = _wider(line, field, types.get(field, pa.null()), found)
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
