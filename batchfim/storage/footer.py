"""A Parquet file's footer: what is in the file, without reading it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from batchfim.errors import InputError
from batchfim.shards import identity
from batchfim.storage.location import Location
from batchfim.storage.steady_file import SteadyFile

MAGIC = b"PAR1"
_TAIL_BYTES = 8  # footer length and magic


@dataclass(frozen=True)
class Footer:
    """The footer's bytes, its tail included, and the size of the file."""

    data: bytes
    size_bytes: int

    @property
    def content(self) -> str:
        """Identity of what is in the file: its size, and its footer's offsets and statistics."""
        return identity(self.size_bytes, hashlib.blake2b(self.data, digest_size=16).hexdigest())


def read_footer(location: Location) -> Footer:
    """Read the footer, in two small reads.

    Raises:
        InputError: the file is empty, cut short, or not Parquet.
    """
    with location.open() as file:
        return Footer(_footer_bytes(file, location.url), file.size_bytes)


def _footer_bytes(file: SteadyFile, path: str) -> bytes:
    """Source: Parquet format, "File format": data, footer, 4-byte footer length, `PAR1`."""
    size = file.size_bytes
    if size == 0:
        raise InputError(f"{path}: the file is empty, expected Parquet")
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    if tail[-4:] != MAGIC:
        raise InputError(f"{path}: not a Parquet file, or cut short: it does not end with PAR1")
    start = size - _TAIL_BYTES - struct.unpack("<I", tail[:4])[0]
    if start < len(MAGIC):
        raise InputError(f"{path}: the Parquet footer is damaged: it is longer than the file")
    file.seek(start)
    return file.read(size - start)
