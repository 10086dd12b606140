"""What a part tells of its own rows when some of them are worked again."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batchfim.errors import StorageError
from batchfim.records import Completion, Status
from batchfim.storage.parts import part_table
from batchfim.workers.retried import Retry, completions

OK, REJECTED, FAILED = Status


def part(*records: list[Completion], attempt: int = 1) -> pa.Table:
    ids = pa.table({"id": [f"r{number}" for number in range(len(records))]})
    return part_table(ids, list(records), family="f", worker="w", attempt=attempt)


def record(*statuses: Status, middle: str = "old") -> list[Completion]:
    return [Completion(status, sample, middle) for sample, status in enumerate(statuses)]


def test_each_retry_is_an_attempt_of_its_own() -> None:
    before = pa.concat_tables([part(record(OK), attempt=attempt) for attempt in (1, 2, 1)])
    assert [Retry.of(before, 1).attempt(attempt) for attempt in (1, 2)] == [3, 4]
    assert Retry.of(before.slice(0, 0), 1).attempt(1) == 1


def test_a_record_is_retried_once_however_many_of_its_samples_failed() -> None:
    before = part(record(OK, REJECTED), record(FAILED, FAILED), record(OK, OK), record(OK, FAILED))
    assert Retry.of(before, 2).places == [1, 3]


def test_of_a_retried_record_only_the_samples_that_failed_are_replaced() -> None:
    before = part(record(OK, OK), record(FAILED, OK), record(OK, FAILED))
    again = part(*[record(OK, OK, middle="new")] * 2, attempt=2)
    after = Retry.of(before, 2).merged(again)
    assert after["middle"].to_pylist() == ["old", "old", "new", "old", "old", "new"]
    assert after["attempt"].to_pylist() == [1, 1, 2, 1, 1, 2]
    assert after["sample"].to_pylist() == [0, 1] * 3


def test_a_part_with_other_columns_is_not_merged() -> None:
    before = part(record(FAILED))
    with pytest.raises(StorageError, match=r"another output\.path"):
        Retry.of(before, 1).merged(before.drop_columns(["id"]))


def test_a_cause_is_counted_without_its_place() -> None:
    error = "/data/a, row 1.parquet, row 7: column 'prefix' is null"
    row = Completion(Status.REJECTED, error=error)
    assert [one.reason for one in completions(part([row]))] == ["column 'prefix' is null"]
