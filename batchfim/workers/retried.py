"""Retry a committed part: find its failed records, and merge their new rows into it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchfim.arrow import take_rows
from batchfim.errors import StorageError
from batchfim.records import Completion, Status, without_place

_FIELDS = [field.name for field in dataclasses.fields(Completion) if field.name != "reason"]


def failed_records(part: pa.Table, samples: int) -> list[int]:
    """Places within the shard of records with a failed sample.

    Args:
        part: the shard's output rows.
        samples: output rows per record.
    """
    failed = pc.equal(part["status"], Status.FAILED).to_numpy()
    return sorted(set((np.flatnonzero(failed) // samples).tolist()))


def last_attempt(part: pa.Table) -> int:
    """The highest attempt number in a part."""
    return int(pc.max(part["attempt"]).as_py() or 0)


def merged(part: pa.Table, again: pa.Table, records: Sequence[int], samples: int) -> pa.Table:
    """The part with its failed rows replaced in place; all other rows are unchanged.

    Args:
        part: the shard's output rows.
        again: new output rows of the retried records.
        records: places of the retried records in the shard.
        samples: output rows per record.

    Raises:
        StorageError: the part was written by another version, with other columns.
    """
    if part.schema.names != again.schema.names:
        raise StorageError(
            "the columns of the existing part are not those of this version of batchfim; run the "
            "job into another output.path"
        )
    offsets = np.arange(samples)
    old = (np.asarray(records, np.int64)[:, None] * samples + offsets).ravel()
    new = part.num_rows + np.arange(again.num_rows)
    failed = pc.equal(part["status"], Status.FAILED).to_numpy()[old]
    order = np.arange(part.num_rows)
    order[old[failed]] = new[failed]
    return take_rows(pa.concat_tables([part, again.cast(part.schema)]), order.tolist())


def completions(part: pa.Table) -> list[Completion]:
    """The samples in a part's rows, for its report."""
    rows = part.select(_FIELDS).to_pylist()
    return [
        Completion(
            **{**row, "status": Status(row["status"])},
            reason=row["error"] and without_place(row["error"]),
        )
        for row in rows
    ]
