"""Pick the records that a report shows from a few parts: random ones, the slowest, the failed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.metrics.done import Done
from batchfim.metrics.shard_report import cause
from batchfim.quality.rows import plain_values
from batchfim.records import OUTPUT_COLUMNS, without_place
from batchfim.storage.ledger import Ledger
from batchfim.storage.parts import read_part

_SAMPLED_PARTS = 8
_SAMPLED_ROWS = 40
_SLOWEST = 10
_ERROR_PARTS = 8
_EXAMPLES = 3  # of each error
_SHOWN = tuple(name for name in OUTPUT_COLUMNS if name != "logprobs")

Row = Mapping[str, Any]  # an output row, with its position: `part` and `part_row`


@dataclass
class Picked:
    """Output rows to show; `errors` has examples by reason, with the summary's texts as keys."""

    sample: list[Row] = field(default_factory=list)
    slowest: list[Row] = field(default_factory=list)
    errors: dict[str, list[Row]] = field(default_factory=dict)


def pick(
    ledger: Ledger,
    done: Done,
    shards: pa.Table,
    columns: Sequence[str],
    reasons: Sequence[str],
    seed: int = 0,
) -> Picked:
    """Pick rows from at most 26 parts, however many there are.

    The slowest rows are the slowest of all, since the shards with the largest maximum latencies
    contain them.

    Args:
        ledger: the job's ledger.
        done: what the ledger says is done.
        shards: columns `metrics.shard_table.SHARD_SCHEMA`.
        columns: input columns to include, if the output has them.
        reasons: errors to find examples of, with the summary's texts.
        seed: random seed of the sample.

    Raises:
        StorageError: a part is missing or damaged.
    """
    draw = random.Random(seed)
    ids = sorted(done.ids.to_pylist())
    sampled = set(draw.sample(ids, min(_SAMPLED_PARTS, len(ids))))
    slow = set(_largest(shards, "max_latency_s", _SLOWEST))
    bad = done.table.filter(pc.greater(pc.add(done.table["rejected"], done.table["failed"]), 0))
    bad_ids = sorted(bad["shard_id"].to_pylist())
    wrong = set(draw.sample(bad_ids, min(_ERROR_PARTS, len(bad_ids))))
    picked = Picked()
    for shard_id in sorted(sampled | slow | wrong):
        table = _with_place(read_part(ledger.part(shard_id)), shard_id, columns)
        if shard_id in sampled:
            picked.sample += _drawn(table, -(-_SAMPLED_ROWS // len(sampled)), draw)
        if shard_id in slow:
            picked.slowest = _slowest([*picked.slowest, *_slow_rows(table)])
        if shard_id in wrong:
            _add_errors(picked.errors, table, reasons)
    return picked


def _with_place(table: pa.Table, shard_id: str, columns: Sequence[str]) -> pa.Table:
    kept = [name for name in (*columns, *_SHOWN) if name in table.column_names]
    places = pa.array(range(table.num_rows), pa.int64())
    part = pa.array([f"part-{shard_id}.parquet"] * table.num_rows)
    return table.select(kept).append_column("part", part).append_column("part_row", places)


def _drawn(table: pa.Table, count: int, draw: random.Random) -> list[Row]:
    rows = sorted(draw.sample(range(table.num_rows), min(count, table.num_rows)))
    return _rows(table.take(pa.array(rows, pa.int64())))


def _slow_rows(table: pa.Table) -> list[Row]:
    timed = table.filter(pc.is_valid(table["latency_s"]))
    slowest = pc.select_k_unstable(timed, _SLOWEST, [("latency_s", "descending")])
    return _rows(timed.take(slowest))


def _slowest(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row["latency_s"])[:_SLOWEST]


def _add_errors(found: dict[str, list[Row]], table: pa.Table, reasons: Sequence[str]) -> None:
    for row in _rows(table.filter(pc.is_valid(table["error"]))):
        reason = cause(without_place(row["error"]))
        if reason in reasons and len(found.setdefault(reason, [])) < _EXAMPLES:
            found[reason].append(row)


def _largest(table: pa.Table, column: str, count: int) -> list[str]:
    largest = pc.select_k_unstable(table, count, [(column, "descending")])
    return list(table["shard_id"].take(largest).to_pylist())


def _rows(table: pa.Table) -> list[Row]:
    columns = {name: plain_values(table[name]) for name in table.column_names}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
