"""The done shards in numbers: one row per committed shard, and their totals. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.totals import Totals

_COUNTED = ("rows", "ok", "rejected", "failed")
DONE_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.string()),
        pa.field("attempt", pa.int32()),
        pa.field("records", pa.int64()),
        *(pa.field(name, pa.int64()) for name in _COUNTED),
        pa.field("size_bytes", pa.int64()),
        pa.field("checksum", pa.string()),
    ]
)


@dataclass(frozen=True)
class Done:
    """The committed shards: `table` has the columns `DONE_SCHEMA`."""

    table: pa.Table
    totals: Totals

    @property
    def ids(self) -> pa.ChunkedArray:
        return self.table["shard_id"]

    @property
    def digest(self) -> str:
        """A digest of the ids of the done shards and the bytes of their parts."""
        checksums = self.table["checksum"].to_pylist()
        parts = sorted(zip(self.ids.to_pylist(), checksums, strict=True))
        hashed = hashlib.blake2b(digest_size=16)
        for shard_id, checksum in parts:
            hashed.update(f"{shard_id} {checksum}\n".encode())
        return hashed.hexdigest()

    def of(self, shard_ids: Sequence[str]) -> pa.Table:
        """The rows of the given shards."""
        wanted = pa.array(shard_ids, pa.string())
        return self.table.filter(pc.is_in(self.ids, wanted))


def done_table(reports: Sequence[ShardReport]) -> pa.Table:
    """A table with columns `DONE_SCHEMA` and one row per report, in order."""
    columns = {
        field.name: [
            getattr(report.counts if field.name in _COUNTED else report, field.name)
            for report in reports
        ]
        for field in DONE_SCHEMA
    }
    return pa.table(columns, schema=DONE_SCHEMA)
