"""How the workers' time was used, as far as shards and runs show; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.metrics.summary import starting_s
from batchfim.metrics.timeline import busy_s, spans

USES = {
    "start": "engines start, and each worker waits until it has its first shard to generate",
    "prefill": "generation, the share of the rows' time up to their first token",
    "decode": "generation, the share after it",
    "idle": "nothing to generate between two shards: reading, encoding, writing, waiting",
    "tail": "after a worker's last shard, or without one, until it was released or the run ended; "
    "includes all time of shards that were processed again later",
}


def time_use(shards: pa.Table, runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Worker-seconds of each of `USES`; for each run they add up to its starts and `worker_s`.

    Rows overlap in an engine, so its time cannot be attributed row by row: generation time is split
    in proportion to the rows' own seconds, without those spent waiting in the engine. If a run was
    killed, only its shards are known.

    Args:
        shards: columns `metrics.shard_table.SHARD_SCHEMA`.
        runs: the runs of `summary.json`.
    """
    by_id = {run.get("run", ""): run for run in runs}
    names = {*by_id, *pc.unique(shards["run"]).to_pylist()}
    each = [_of_run(shards.filter(pc.equal(shards["run"], n)), by_id.get(n)) for n in sorted(names)]
    return {use: sum((used[use] for used in each), 0.0) for use in USES}


def _of_run(shards: pa.Table, run: Mapping[str, Any] | None) -> dict[str, float]:
    laid = spans(shards)
    of_worker = busy_s(laid)
    busy = sum(generated for generated, _, _ in of_worker.values())
    idle = sum(last_s - first_s - busy for busy, first_s, last_s in of_worker.values())
    first = {worker: first_s for worker, (_, first_s, _) in of_worker.items()}
    if run is None:
        start = sum(first.values())
        tail = sum(laid.total_s - last_s for _, _, last_s in of_worker.values())
    else:
        start = starting_s(run) + _waited_s(run, first)
        tail = max(starting_s(run) + run["worker_s"] - start - busy - idle, 0.0)
    prefill = busy * _prefill_share(shards)
    return {
        "start": start,
        "prefill": prefill,
        "decode": busy - prefill,
        "idle": idle,
        "tail": tail,
    }


def _waited_s(run: Mapping[str, Any], first: Mapping[str, float]) -> float:
    """Total seconds that ready workers waited for their first shard.

    Args:
        run: a run of `summary.json`.
        first: start of each worker's first generation, in seconds since the first shard began,
            which is when the run's first engine was ready.
    """
    up = float(run["engine_start_s"])
    ready = {one["worker"]: float(one["ready_s"]) for one in run["engines"]}
    return sum(max(up + first_s - ready.get(name, up), 0.0) for name, first_s in first.items())


def _prefill_share(shards: pa.Table) -> float:
    queue, ttft, latency = (
        pc.sum(shards[name]).as_py() or 0.0 for name in ("queue_s", "ttft_s", "latency_s")
    )
    return float((ttft - queue) / (latency - queue)) if latency > queue else 0.0
