"""A job's current summary, as `summary.json` would have it, even if no run has ended yet."""

from __future__ import annotations

from typing import Any

from batchfim.metrics.audit import Unfinished, unfinished
from batchfim.metrics.done import Done
from batchfim.storage.ledger import Ledger


def summary_now(ledger: Ledger, done: Done) -> dict[str, Any]:
    """The totals of the done shards, with the other keys of the last finished run's summary.

    It is not `complete` if shards were planned after that run.

    Args:
        ledger: the job's ledger.
        done: the ledger's done shards.
    """
    return summary_of(ledger, done, unfinished(ledger.planned_rows(), done.ids, ledger.seen.read()))


def summary_of(ledger: Ledger, done: Done, not_done: Unfinished) -> dict[str, Any]:
    """Like `summary_now`, for callers that know which planned shards are not done."""
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
    complete = bool(now["complete"]) and not_done.left.num_rows == 0
    return now | not_done.summary | {"complete": complete}
