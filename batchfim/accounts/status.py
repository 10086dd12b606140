"""The status of a job, from its ledger alone: reads no input or model, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc

from batchfim.accounts.summing import summary_of
from batchfim.metrics.audit import unfinished
from batchfim.metrics.done import Done
from batchfim.metrics.run_record import end_of
from batchfim.storage.job_lease import find_holder
from batchfim.storage.ledger import Ledger

_RECENT_S = 600.0


def job_status(output: str) -> dict[str, Any]:
    """The status of the job at a path or URL, which may be running in another process or machine.

    Returns:
        `state`: `running`, `stopped`, `complete` or `complete with failed rows`; `holder`;
        `shards` and `rows`, planned, done and more; `rows_per_s` and `left_s` while some rows were
        never processed (null in a retry, where there are none); `history`, the last runs from
        `_batchfim/runs/`; the other keys of `summary.json`, with the current `complete`.

    Raises:
        OutputError: there is no job.
        StorageError: a file of the ledger is damaged.
    """
    ledger = Ledger.at(output)
    samples = num_samples(ledger)
    holder = find_holder(ledger.lease_folder)
    recent, done = ledger.recent(), ledger.done()
    not_done = unfinished(ledger.planned_rows(), done.ids, ledger.seen.read())
    left = (pc.sum(not_done.left["num_rows"]).as_py() or 0) * samples
    sums = summary_of(ledger, done, not_done)
    speed = _rows_per_s(done, recent, time.time()) if holder and left else None
    return sums | {
        "output": output,
        "state": "running" if holder else end_of(sums),
        "holder": holder and asdict(holder),
        "shards": {"planned": sums["shards"] + not_done.left.num_rows, "done": sums["shards"]},
        "rows": {"planned": sums["rows"]["rows"] + left} | sums["rows"],
        "rows_per_s": speed,
        "left_s": left / speed if speed else None,
        "history": [record.model_dump(mode="json") for record in ledger.runs.last()],
    }


def num_samples(ledger: Ledger) -> int:
    """Output rows per record, from the job's settings."""
    sampling = ledger.job()["fields"].get("sampling") or {}
    return int(sampling.get("n", 1))


def _rows_per_s(done: Done, recent: Mapping[str, float], now: float) -> float | None:
    """Rows per second over the newest markers, of which the first only starts the clock.

    It falls while nothing is committed.

    Args:
        done: all done shards.
        recent: when markers were written, by shard id.
        now: seconds since 1970, like `recent`.
    """
    times = sorted((at, shard_id) for shard_id, at in recent.items() if now - at < _RECENT_S)
    if len(times) < 2:
        return None
    rows = pc.sum(done.of([shard_id for _, shard_id in times[1:]])["rows"]).as_py() or 0
    return float(rows / max(now - times[0][0], 1e-3))
