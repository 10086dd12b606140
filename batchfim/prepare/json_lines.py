"""Read JSON lines, compressed or not; errors have file, line and field."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from batchfim.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_JSON_NAMES = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    dict: "an object",
    list: "a list",
}


class BadLine(InputError):
    """One line cannot be used; the others may be fine."""


def refuse(error: BadLine) -> None:
    """Stop at the first bad line."""
    raise error


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON object; `number` counts from 1 and includes blank lines, as in editors."""

    file: Path
    number: int
    fields: dict[str, Any]

    def value(self, field: str) -> Any:
        if field not in self.fields:
            raise BadLine(
                f"{self.file}:{self.number}: no field {field!r} (this line has "
                f"{', '.join(map(repr, self.fields)) or 'no fields'}); "
                "choose another field, or repair this line"
            )
        return self.fields[field]

    def text(self, field: str) -> str:
        value = self.value(field)
        if not isinstance(value, str):
            raise self.error(field, f"expected text, found {json_name(value)}; make it a string")
        if not value.isascii():
            self._check_utf8(field, value)
        return value

    def inner(self, field: str) -> Line:
        """The object in a field; its errors report its own fields."""
        value = self.value(field)
        if not isinstance(value, dict):
            raise self.error(
                field, f"expected an object, found {json_name(value)}; repair or remove this line"
            )
        return Line(self.file, self.number, value)

    def inners(self, field: str) -> list[Line]:
        """The objects in a field that holds a list of them."""
        value = self.value(field)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(
                field,
                f"expected a list of objects, found {json_name(value)}; repair or remove this line",
            )
        return [Line(self.file, self.number, one) for one in value]

    def error(self, field: str, message: str) -> BadLine:
        return BadLine(f"{self.file}:{self.number}: field {field!r}: {message}")

    def _check_utf8(self, field: str, value: str) -> None:
        # JSON can escape half a surrogate pair, which UTF-8 cannot encode.
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.error(
                field,
                f"character {error.start} is half a surrogate pair, which is not Unicode text; "
                "repair or remove this line",
            ) from error


def read_lines(file: Path, bad: Callable[[BadLine], None] = refuse) -> Iterator[Line]:
    """Yield the file's objects, one line in memory at a time, skipping blank lines.

    Args:
        file: JSON lines, compressed with gzip or zstd or not at all.
        bad: called with each line that is not a JSON object.

    Raises:
        InputError: the file is missing, empty or damaged.
    """
    number = 0
    found = False
    try:
        with file.open("rb") as raw:
            for number, line in enumerate(_unpacked(raw), 1):
                if not line.strip():
                    continue
                found = True
                try:
                    fields = _parse(line, file, number)
                except BadLine as error:
                    bad(error)
                else:
                    yield Line(file, number, fields)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(
                f"{file}: cannot read: {error.strerror}; give a file of JSON lines"
            ) from error
        raise InputError(
            f"{file}: the compressed data is truncated or damaged after line {number} ({error}); "
            "copy or download the file again"
        ) from error
    if not found:
        raise InputError(f"{file}: empty, expected one JSON object per line; check the file")


def _unpacked(raw: io.BufferedReader) -> BinaryIO | io.BufferedIOBase:
    start = raw.peek(len(_ZSTD_MAGIC))
    if start.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=raw)
    if start.startswith(_ZSTD_MAGIC):
        return io.BufferedReader(pa.CompressedInputStream(raw, "zstd"))
    return raw


def json_name(value: object) -> str:
    """A value in JSON's terms, for messages; Parquet has further types, such as `date`."""
    kind = type(value)
    if kind in (int, float):
        return f"the number {value}"
    return _JSON_NAMES.get(kind, kind.__name__)


def _parse(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        parsed = json.loads(line.decode("utf-8-sig"))
    # RecursionError: brackets nested by the thousand.
    except (ValueError, RecursionError) as error:
        raise BadLine(
            f"{file}:{number}: not valid JSON: {error}; repair or remove this line, each line must "
            "be one JSON object"
        ) from error
    if not isinstance(parsed, dict):
        raise BadLine(
            f"{file}:{number}: expected a JSON object, found {json_name(parsed)}; "
            "write the line as an object with named fields"
        )
    return parsed
