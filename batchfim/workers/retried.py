"""A committed part whose failed rows are worked again: which records, and the part anew. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchfim.errors import StorageError
from batchfim.records import Completion, Status, without_place

_FIELDS = [field.name for field in dataclasses.fields(Completion) if field.name != "reason"]


def failed_records(part: pa.Table, samples: int) -> list[int]:
    """Places in their shard of the records with a failed sample.

    Args:
        part: the shard's output rows.
        samples: output rows per record.
    """
    failed = pc.equal(part["status"], Status.FAILED).to_numpy()
    return sorted(set((np.flatnonzero(failed) // samples).tolist()))


def last_attempt(part: pa.Table) -> int:
    """The highest number of an attempt so far."""
    return int(pc.max(part["attempt"]).as_py() or 0)


def merged(part: pa.Table, again: pa.Table, records: Sequence[int], samples: int) -> pa.Table:
    """The part with its failed rows replaced, each in its place; the other rows are as they were.

    Args:
        part: the shard's output rows.
        again: output rows of those records that were worked again.
        records: their places in the shard.
        samples: output rows per record.

    Raises:
        StorageError: the part was written by another version, with other columns.
    """
    if part.schema.names != again.schema.names:
        raise StorageError(
            "its columns are not those of this version of batchfim; run the job anew into another "
            "output.path"
        )
    offsets = np.arange(samples)
    old = (np.asarray(records, np.int64)[:, None] * samples + offsets).ravel()
    new = part.num_rows + np.arange(again.num_rows)
    failed = pc.equal(part["status"], Status.FAILED).to_numpy()[old]
    order = np.arange(part.num_rows)
    order[old[failed]] = new[failed]
    return pa.concat_tables([part, again.cast(part.schema)]).take(order)


def completions(part: pa.Table) -> list[Completion]:
    """What a part's rows say of their samples, for its report."""
    rows = part.select(_FIELDS).to_pylist()
    return [
        Completion(
            **{**row, "status": Status(row["status"])},
            reason=row["error"] and without_place(row["error"]),
        )
        for row in rows
    ]
