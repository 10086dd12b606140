"""Compare every input row with the output; pure functions, except for reading the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchfim.storage.location import Location


@dataclass(frozen=True)
class Accounts:
    """Numbers of wrong rows, all 0 in a sound output.

    Attributes:
        lost: input rows without an output row.
        doubled: output rows beyond one per input row.
        changed: output rows that differ from their input row or lack a middle.
        misplaced: rows out of the input's order within their part.
    """

    rows: int
    lost: int
    doubled: int
    changed: int
    misplaced: int

    @property
    def sound(self) -> bool:
        return not any(count for name, count in asdict(self).items() if name != "rows")


def read_parts(output: Location) -> dict[str, pa.Table]:
    """Rows of each visible part, as any Parquet reader sees them."""
    parts = [info for info in output.list() if info.base_name.endswith(".parquet")]
    tables = {}
    for info in parts:
        with output.filesystem.open_input_file(info.path) as file:
            tables[info.base_name] = pq.read_table(file)
    return tables


def account(records: pa.Table, parts: Mapping[str, pa.Table]) -> Accounts:
    """Compare the parts with the records, whose `id` is the row's number."""
    rows = pa.concat_tables(parts.values())
    there = pc.unique(rows["id"])
    wanted = pc.is_in(records["id"], value_set=there)
    joined = rows.select(["id", "prefix", "suffix", "status", "middle"]).join(
        records, "id", right_suffix="_asked"
    )
    same = pc.and_(
        pc.equal(joined["prefix"], joined["prefix_asked"]),
        pc.equal(joined["suffix"], joined["suffix_asked"]),
    )
    good = pc.and_(same, pc.and_(pc.equal(joined["status"], "ok"), pc.is_valid(joined["middle"])))
    return Accounts(
        rows=records.num_rows,
        lost=records.num_rows - pc.sum(wanted).as_py(),
        doubled=rows.num_rows - len(there),
        changed=rows.num_rows - (pc.sum(good).as_py() or 0),
        misplaced=sum(_misplaced(part["id"]) for part in parts.values()),
    )


def _misplaced(ids: pa.ChunkedArray) -> int:
    """Number of rows that do not directly follow their predecessor's input row."""
    steps = pc.pairwise_diff(ids.combine_chunks()).drop_null()
    return int(pc.sum(pc.not_equal(steps, 1)).as_py() or 0)
