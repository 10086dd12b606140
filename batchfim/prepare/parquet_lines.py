"""Read JSON lines or Parquet alike: a `Line` per row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import InputError
from batchfim.prepare.json_lines import BadLine, Line, read_lines, refuse

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 64


def read_records(file: Path, bad: Callable[[BadLine], None] = refuse) -> Iterator[Line]:
    """Yield the file's rows; Parquet rows are numbered from 1, like lines.

    Args:
        file: the file.
        bad: called with each line that is not a JSON object.

    Raises:
        InputError: the file is missing, empty or damaged.
    """
    return _read_parquet(file) if _is_parquet(file) else read_lines(file, bad)


def _is_parquet(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def _read_parquet(file: Path) -> Iterator[Line]:
    number = 0
    try:
        # PyArrow takes a name that is not UTF-8 only as bytes, and only here.
        with pa.OSFile(os.fsencode(file)) as opened, pq.ParquetFile(opened) as parquet:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                for fields in batch.to_pylist():
                    number += 1
                    yield Line(file, number, fields)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: cannot read the Parquet file after {number} good rows: {error}; "
            "copy or download it again"
        ) from error
    if not number:
        raise InputError(f"{file}: empty, expected at least one row; check the file")
