"""Hand bytes to Arrow in memory that Arrow's threads can free."""

from __future__ import annotations

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
