"""Read source text from the code column of a Parquet file; each row is one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import InputError
from batchfim.prepare.names import as_text
from batchfim.prepare.texts import Choice, Skipped, Source, decode, language_of
from batchfim.records import is_text

DEFAULT_CODE_COLUMN = "code"
# The second names are those of The Stack and StarCoderData (data set cards of bigcode/the-stack and
# bigcode/starcoderdata); the first one present is used.
_PATHS = ("path", "max_stars_repo_path")
_LANGUAGES = ("language", "lang")
_ROWS_AT_ONCE = 64
_BUFFER_BYTES = 1024 * 1024


def read_parquet(file: Path, label: str, choice: Choice) -> Iterator[Source | Skipped]:
    """Yield the file's rows in order; `place` is `label` and the row's number, from 0.

    Columns `path` and `language`, or their names in The Stack, are used if present; otherwise the
    path's extension gives the language.

    Raises:
        InputError: the file is damaged or a column is not text; the message has file and column.
    """
    row, label = 0, as_text(label)
    try:
        with (
            # PyArrow takes a name that is not UTF-8 only as bytes, and only here.
            pa.OSFile(os.fsencode(file)) as opened,
            # Without these two arguments, a whole row group is in memory at once.
            pq.ParquetFile(opened, pre_buffer=False, buffer_size=_BUFFER_BYTES) as parquet,
        ):
            code_column = choice.code_column or DEFAULT_CODE_COLUMN
            columns = _columns(parquet.schema_arrow, file, code_column)
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=[*columns.values()]):
                for code, path, language in _texts(batch, columns):
                    yield _source(f"{label}#{row}", code, path, language, choice)
                    row += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        is_empty = file.is_file() and file.stat().st_size == 0
        problem = "empty" if is_empty else f"cannot read the Parquet file after {row} good rows"
        raise InputError(
            f"{file}: {problem}: {error}; write or copy it again, or give a folder of source files"
        ) from error


def _columns(schema: pa.Schema, file: Path, code_column: str) -> dict[str, str]:
    """The columns to read, by their role: code, path, language."""
    if code_column not in schema.names:
        raise InputError(
            f"{file}: no column {code_column!r} (the file has "
            f"{', '.join(map(repr, schema.names)) or 'no columns'}); choose one with --code-column"
        )
    columns = {"code": code_column}
    for what, names in (("path", _PATHS), ("language", _LANGUAGES)):
        there = [name for name in names if name in schema.names]
        columns |= {what: there[0]} if there else {}
    for name in columns.values():
        if not is_text(schema.field(name).type):
            raise InputError(
                f"{file}: column {name!r}: expected text, found {schema.field(name).type}; "
                "store it as strings, or choose another column"
            )
    return columns


def _texts(
    batch: pa.RecordBatch, columns: Mapping[str, str]
) -> Iterator[tuple[bytes | None, str | None, str | None]]:
    """Rows as (code, path, language); code stays bytes, since Parquet does not guarantee UTF-8."""
    nothing = [None] * batch.num_rows
    code, path, language = (
        batch.column(columns[what]).cast(pa.large_binary()).to_pylist()
        if what in columns
        else nothing
        for what in ("code", "path", "language")
    )
    for one in zip(code, path, language, strict=True):
        yield one[0], _name(one[1]), _name(one[2])


def _name(value: bytes | None) -> str | None:
    return value.decode(errors="replace") if value else None


def _source(
    place: str, code: bytes | None, path: str | None, language: str | None, choice: Choice
) -> Source | Skipped:
    language = language or (language_of(path) if path else None)
    if not choice.takes(language):
        return Skipped("other language")
    if code is None:
        return Skipped("null")
    text = decode(code, choice.max_bytes)
    return text if isinstance(text, Skipped) else Source(place, text, path, language)
