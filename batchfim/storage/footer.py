"""Read a Parquet file's footer, which describes the data without reading it."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from batchfim.errors import InputError
from batchfim.shards import short_digest
from batchfim.storage.location import Location
from batchfim.storage.steady_file import SteadyFile

MAGIC = b"PAR1"
_JSON_NAME = re.compile(r"\.(jsonl?|ndjson)(\.\w+)?$", re.IGNORECASE)  # perhaps compressed
_TAIL_BYTES = 8  # footer length and magic
_READ_BYTES = 1 << 16  # of the first read: most footers fit


@dataclass(frozen=True)
class Footer:
    """The footer's bytes, including its tail, and the size of the file."""

    data: bytes
    size_bytes: int

    @property
    def content(self) -> str:
        """Identity of the file's content, from its size and its footer's offsets and statistics."""
        return short_digest(self.size_bytes, hashlib.blake2b(self.data, digest_size=16).hexdigest())


def json_hint(paths: Iterable[str]) -> str:
    """What to do about the first of these files that is JSON by its name, if one is."""
    name = next((path.rpartition("/")[2] for path in paths if _JSON_NAME.search(path)), None)
    if name is None:
        return ""
    return f"; if {name} holds JSON lines, make records of it with `batchfim prepare jsonl`"


def read_footer(location: Location) -> Footer:
    """Read the footer, usually in one small read.

    Raises:
        InputError: the file is empty, truncated, or not Parquet.
    """
    with location.open() as file:
        return Footer(_footer_bytes(file, location.url), file.size_bytes)


def _footer_bytes(file: SteadyFile, path: str) -> bytes:
    """The bytes from the start of the footer to the end of the file.

    Source: Parquet format, "File format": data, footer, 4-byte footer length, `PAR1`.
    """
    size = file.size_bytes
    if size == 0:
        raise InputError(f"{path}: the file is empty; expected Parquet")
    file.seek(max(size - _READ_BYTES, 0))
    end = file.read(min(size, _READ_BYTES))
    if end[-4:] != MAGIC:
        raise InputError(
            f"{path}: not a Parquet file, or cut short: it does not end with PAR1"
            f"{json_hint([path])}"
        )
    num_bytes = struct.unpack("<I", end[-_TAIL_BYTES:-4].rjust(4))[0] + _TAIL_BYTES
    if num_bytes > size - len(MAGIC):
        raise InputError(f"{path}: the Parquet footer is damaged: longer than the file")
    if num_bytes <= len(end):
        return end[-num_bytes:]
    file.seek(size - num_bytes)
    return file.read(num_bytes)
