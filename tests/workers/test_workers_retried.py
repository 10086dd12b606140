"""What a part tells of its own rows when some of them are worked again."""

from __future__ import annotations

import pyarrow as pa

from batchfim.records import Completion, Status
from batchfim.storage.parts import part_table
from batchfim.workers.retried import completions, last_attempt


def test_each_retry_is_an_attempt_of_its_own() -> None:
    tables = [
        part_table(
            pa.table({"id": ["r"]}), [[Completion(Status.OK)]], family="f", worker="w", attempt=n
        )
        for n in (1, 2, 1)
    ]
    assert last_attempt(pa.concat_tables(tables)) == 2


def test_a_cause_is_counted_without_its_place() -> None:
    error = "/data/a, row 1.parquet, row 7: column 'prefix' is null"
    row = Completion(Status.REJECTED, error=error)
    part = part_table(pa.table({"id": ["r"]}), [[row]], family="f", worker="w", attempt=1)
    assert [one.reason for one in completions(part)] == ["column 'prefix' is null"]
