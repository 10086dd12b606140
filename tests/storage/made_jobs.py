"""Work as a worker leaves it behind."""

from __future__ import annotations

import pyarrow as pa

from batchfim.metrics.histogram import Histogram
from batchfim.metrics.shard_report import TIMINGS, Counts, ShardReport
from batchfim.shards import Shard
from batchfim.storage.ledger import Ledger
from batchfim.storage.parts import write_part


def stage(ledger: Ledger, shard: Shard, attempt: int = 1) -> None:
    """Write a part of the right size where an attempt writes it."""
    table = pa.table({"row": range(shard.start, shard.start + shard.num_rows)})
    write_part(ledger.staged("run", shard.id, attempt), table, "zstd")


def report(shard: Shard, attempt: int = 1) -> ShardReport:
    return ShardReport(
        shard_id=shard.id,
        attempt=attempt,
        worker="w",
        run="run",
        records=shard.num_rows,
        counts=Counts(rows=shard.num_rows, ok=shard.num_rows),
        finish_reasons={"stop": shard.num_rows},
        stop_rules={"eot": shard.num_rows},
        trim_rules={},
        degenerate={},
        errors={},
        timings={name: Histogram.of([0.5]) for name in TIMINGS},
        checksum="0" * 32,
        size_bytes=1,
        read_s=0.1,
        encode_s=0.2,
        generate_s=0.3,
        write_s=0.4,
    )
