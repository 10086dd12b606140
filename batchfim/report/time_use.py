"""Where the workers' time went, as far as shards and runs tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.report.timeline import busy_s, spans

USES = {
    "start": "engines starting, until the first of a run was up",
    "prefill": "generating, in the share of the rows' own time before their first token",
    "decode": "generating, in the share after it",
    "idle": "nothing to generate between two shards: reading, encoding, writing, waiting",
    "tail": "after a worker's last shard, until the last of the run was done",
}


def time_use(shards: pa.Table, runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Worker-seconds of each of `USES`, over all runs.

    Rows overlap in an engine, so its time cannot be told apart row by row: the time in which it
    generated is split as the rows' own seconds are, those spent waiting in the engine left out.

    Args:
        shards: columns `metrics.shard_table.SHARD_SCHEMA`.
        runs: as `summary.json` has them.
    """
    used = dict.fromkeys(USES, 0.0)
    used["start"] = sum(run["workers"] * run["engine_start_s"] for run in runs)
    for run in pc.unique(shards["run"]).to_pylist():
        mine = shards.filter(pc.equal(shards["run"], run))
        laid = spans(mine)
        prefill = _prefill_share(mine)
        for busy, first_s, last_s in busy_s(laid).values():
            used["prefill"] += busy * prefill
            used["decode"] += busy * (1 - prefill)
            used["idle"] += last_s - first_s - busy
            used["tail"] += laid.total_s - last_s
    return used


def _prefill_share(shards: pa.Table) -> float:
    queue, ttft, latency = (
        pc.sum(shards[name]).as_py() or 0.0 for name in ("queue_s", "ttft_s", "latency_s")
    )
    return float((ttft - queue) / (latency - queue)) if latency > queue else 0.0
