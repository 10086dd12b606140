"""Published rows, as JSON lines or as Parquet: either way a `Line` for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import InputError
from batchfim.prepare.json_lines import Line, read_lines

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 64


def read_records(file: Path) -> Iterator[Line]:
    """The file's rows; a Parquet row's number counts from 1, as lines do.

    Raises InputError if the file is missing, empty, damaged, or a line is not a JSON object.
    """
    return _read_parquet(file) if _is_parquet(file) else read_lines(file)


def _is_parquet(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def _read_parquet(file: Path) -> Iterator[Line]:
    number = 0
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                for fields in batch.to_pylist():
                    number += 1
                    yield Line(file, number, fields)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: cannot read, after {number} good rows: {error}; expected a whole Parquet "
            "file: copy or download it again"
        ) from error
