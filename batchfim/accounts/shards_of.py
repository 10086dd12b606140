"""The table of a job's committed shards, read from their reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa

from batchfim.metrics.report import ShardReport
from batchfim.metrics.shard_table import SHARD_SCHEMA, shard_table
from batchfim.storage.ledger import Ledger

_AT_ONCE = 4096


def shards_of(ledger: Ledger) -> pa.Table:
    """One row for each committed shard, columns `metrics.shard_table.SHARD_SCHEMA`.

    Raises:
        StorageError: a marker is damaged.
    """
    tables = [shard_table(reports) for reports in _batches(ledger.reports())]
    return pa.concat_tables(tables) if tables else SHARD_SCHEMA.empty_table()


def _batches(reports: Iterable[ShardReport]) -> Iterator[list[ShardReport]]:
    iterator = iter(reports)
    while batch := list(islice(iterator, _AT_ONCE)):
        yield batch
