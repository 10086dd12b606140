"""Retry a committed part: find its failed records, and merge their new rows into it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchfim.arrow import take_rows
from batchfim.errors import StorageError
from batchfim.records import Completion, Status, without_place

_FIELDS = [field.name for field in dataclasses.fields(Completion) if field.name != "reason"]


@dataclass(frozen=True)
class Retry:
    """A retry of a committed part, which processes its failed records again.

    Attributes:
        part: the shard's output rows.
        num_samples: output rows per record.
        places: places within the shard of the records with a failed sample.
    """

    part: pa.Table
    num_samples: int
    places: Sequence[int]

    @classmethod
    def of(cls, part: pa.Table, num_samples: int) -> Retry:
        """The retry of all failed records of a part."""
        failed = np.flatnonzero(_is_failed(part))
        return cls(part, num_samples, sorted(set((failed // num_samples).tolist())))

    def attempt(self, attempt: int) -> int:
        """Attempt number of the new rows, which follows all those in the part.

        Args:
            attempt: number of the attempt within this retry.
        """
        return attempt + int(pc.max(self.part["attempt"]).as_py() or 0)

    def merged(self, again: pa.Table) -> pa.Table:
        """The part with its failed rows replaced in place; all other rows are unchanged.

        Args:
            again: new output rows of the retried records.

        Raises:
            StorageError: the part was written by another version, with other columns.
        """
        part = self.part
        if part.schema.names != again.schema.names:
            raise StorageError(
                "the columns of the existing part are not those of this version of batchfim; run "
                "the job into another output.path"
            )
        firsts = np.asarray(self.places, np.int64)[:, None] * self.num_samples
        old = (firsts + np.arange(self.num_samples)).ravel()
        new = part.num_rows + np.arange(again.num_rows)
        failed = _is_failed(part)[old]
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


def _is_failed(part: pa.Table) -> NDArray[np.bool_]:
    """For each row of a part, whether it failed."""
    failed: NDArray[np.bool_] = pc.equal(part["status"], Status.FAILED).to_numpy()
    return failed
