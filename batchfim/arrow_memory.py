"""Bytes where Arrow's threads may let go of them."""

from __future__ import annotations

import pyarrow as pa


def reader(data: bytes) -> pa.BufferReader:
    """Read bytes from a copy in Arrow's own memory.

    The last to let go of what Arrow reads may be one of its threads. Where that is a Python
    object and the interpreter is ending, the thread cannot free it, and the process aborts with
    "terminate called without an active exception" (apache/arrow#34314).
    """
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())
