"""What Arrow's threads may be the last to let go of is no Python object."""

from __future__ import annotations

import sys

from batchfim.arrow import reader


def test_a_reader_holds_a_copy_and_not_the_bytes() -> None:
    data = bytes(range(256)) * 8
    held = sys.getrefcount(data)
    source = reader(data)
    assert sys.getrefcount(data) == held
    buffer = source.read_buffer()
    assert buffer.to_pybytes() == data
    assert sys.getrefcount(data) == held
