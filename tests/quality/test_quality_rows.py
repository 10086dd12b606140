"""A part's rows, cut into pieces for the threads."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batchfim.quality.rows import chunks


@pytest.mark.parametrize("samples", [1, 3, 100])
def test_pieces_keep_a_records_samples_together_and_lose_no_row(samples: int) -> None:
    table = pa.table({"sample": list(range(samples)) * 50, "row": range(samples * 50)})
    pieces = list(chunks(table))
    assert len(pieces) > 1 or samples == 1
    assert [row for _, piece in pieces for row in piece["row"].to_pylist()] == list(
        range(samples * 50)
    )
    for first, piece in pieces:
        assert piece["sample"][0].as_py() == 0
        assert piece["row"][0].as_py() == first
