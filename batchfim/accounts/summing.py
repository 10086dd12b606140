"""A job's current summary, as `summary.json` would have it, even if no run has ended yet."""

from __future__ import annotations

from typing import Any

from batchfim.metrics.audit import unfinished
from batchfim.metrics.done import Done
from batchfim.storage.ledger import Ledger


def summary_now(ledger: Ledger, done: Done) -> dict[str, Any]:
    """The totals of the done shards, with the other keys of the last finished run's summary.

    It is not `complete` if shards were planned after that run.

    Args:
        ledger: the job's ledger.
        done: the ledger's done shards.
    """
    left = unfinished(ledger.planned_rows(), done.ids, ledger.absent_files())
    return summary_of(ledger, done, num_unworked=left.num_rows)


def summary_of(ledger: Ledger, done: Done, *, num_unworked: int) -> dict[str, Any]:
    """Like `summary_now`, for callers that know how many planned shards are not done."""
    job, last = ledger.job(), ledger.summary()
    before = {
        "runs": [],
        "model": job["model"],
        "engine": {"backend": job["config"]["engine"]["backend"]},
        "versions": job["versions"],
        "forecast": [],
        "complete": False,
    }
    now = done.totals.summary() | {key: last.get(key, value) for key, value in before.items()}
    return now | {"complete": bool(now["complete"]) and num_unworked == 0}
