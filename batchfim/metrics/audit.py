"""The audit: in every shard, rows in = ok + rejected + failed, and its part exists. Pure.

Whole columns are compared at once, so a million shards take about a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.shards import SeenFiles

_MOST = 100  # messages of each kind


class Complaint(NamedTuple):
    """What does not add up in a shard, and whether that is its part, which is missing."""

    text: str
    is_missing: bool = False


def audit(planned: pa.Table, done: pa.Table, parts: pa.Table, samples: int) -> list[Complaint]:
    """Compare what is done with what was planned and is there; empty if everything adds up.

    Args:
        planned: the job's shards, with columns `id` and `num_rows`; only done ones are audited. A
            shard that was split is no longer planned, and must not be done.
        done: committed shards, with columns `metrics.done.DONE_SCHEMA`.
        parts: visible parts, with columns `shard_id` and `size_bytes`.
        samples: output rows per record.
    """
    table = done.append_column(
        "planned", _looked_up(done["shard_id"], planned["id"], planned["num_rows"])
    )
    table = table.append_column(
        "part_bytes", _looked_up(done["shard_id"], parts["shard_id"], parts["size_bytes"])
    )
    return list(_complaints(table, samples))


class Unfinished(NamedTuple):
    """Planned shards that are not done, each with its columns in the plan.

    `left` are those to be processed; the files of `absent` ones are no longer in the input. Shards
    of superseded files are in neither.
    """

    left: pa.Table
    absent: pa.Table

    @property
    def summary(self) -> dict[str, dict[str, int]]:
        """The entry in `summary.json`."""
        num_rows = pc.sum(self.absent["num_rows"]).as_py() or 0
        return {"absent": {"shards": self.absent.num_rows, "records": num_rows}}


def unfinished(planned: pa.Table, done: pa.ChunkedArray, seen: SeenFiles) -> Unfinished:
    """Find the planned shards that are not done.

    Args:
        planned: as for `audit`, with the column `file`.
        done: ids of committed shards, all of which are planned.
        seen: the files that are no longer in the input.
    """
    if planned.num_rows == len(done):
        return Unfinished(planned.slice(0, 0), planned.slice(0, 0))
    left = planned.filter(pc.invert(pc.is_in(planned["id"], value_set=done)))
    absent = left.filter(_are_of(left, seen.absent))
    gone = _are_of(left, seen.absent | seen.superseded)
    return Unfinished(left.filter(pc.invert(gone)), absent)


def _are_of(planned: pa.Table, files: Collection[str]) -> pa.ChunkedArray:
    """Which shards are of the given files (ids)."""
    return pc.is_in(planned["file"].cast(pa.string()), pa.array(files, pa.string()))


def _looked_up(keys: pa.ChunkedArray, ids: Any, values: Any) -> pa.ChunkedArray:
    """The value for each key, or null if `ids` does not have it."""
    return pc.take(values, pc.index_in(keys, value_set=ids))


def _complaints(table: pa.Table, samples: int) -> Iterator[Complaint]:
    planned = pc.is_valid(table["planned"])
    for row in _rows(table, pc.invert(planned)):
        yield Complaint(f"shard {row['shard_id']} is done but was never planned")
    table = table.filter(planned)
    for row in _rows(table, _differ(table["part_bytes"], table["size_bytes"])):
        size = row["part_bytes"]
        found = "is missing" if size is None else f"has {size} bytes"
        text = f"part-{row['shard_id']}.parquet {found}, but its marker says {row['size_bytes']}"
        yield Complaint(text, is_missing=size is None)
    for row in _rows(table, _differ(table["rows"], pc.multiply(table["planned"], samples))):
        expected = row["planned"] * samples
        yield Complaint(f"shard {row['shard_id']} has {row['rows']} rows, expected {expected}")
    added = pc.add(pc.add(table["ok"], table["rejected"]), table["failed"])
    for row in _rows(table, _differ(added, table["rows"])):
        yield Complaint(
            f"shard {row['shard_id']}: ok, rejected and failed do not add up to its rows"
        )


def _differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(one, other), True)


def _rows(table: pa.Table, mask: pa.ChunkedArray) -> list[dict[str, Any]]:
    return list(table.filter(mask).slice(0, _MOST).to_pylist())
