"""Arrow's traps: memory that its threads cannot free, columns above 2 GiB, an import of pandas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


def reader(data: bytes) -> pa.BufferReader:
    """A reader over a copy of the bytes in Arrow's own memory.

    The last reference to a buffer may be held by one of Arrow's threads. If the buffer is a Python
    object and the interpreter is shutting down, the thread cannot free it, and the process aborts
    with "terminate called without an active exception" (apache/arrow#34314).
    """
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())


def take_rows(table: pa.Table, places: Sequence[int]) -> pa.Table:
    """These rows of a table, in this order, whatever their size and encoding.

    Arrow's own `take` makes one array of each column, which holds at most 2 GiB of text, and of
    dictionaries together as many values as their index type can number.
    """
    if len(places) < 2:
        return table.slice(places[0] if places else 0, len(places))
    try:
        return table.take(pa.array(places, pa.int64()))
    except pa.ArrowInvalid:
        pass
    half = len(places) // 2
    return pa.concat_tables([take_rows(table, places[:half]), take_rows(table, places[half:])])


class _Absent(MetaPathFinder):
    """An import hook under which pandas is not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)


def skip_pandas_import() -> None:
    """Make Arrow skip its check for pandas, in a process that has not imported pandas.

    When given its first Python list, Arrow imports pandas if it is installed, as it is with Ray
    Data: half a second and 43 MB, to see whether the list is one of pandas' types. It checks only
    once (Arrow 26, `pandas-shim.pxi`); `to_pandas` and `from_pandas` still import pandas. Call
    this before the process starts threads.
    """
    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)
