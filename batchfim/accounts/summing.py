"""A job's summary as of now, also where no run has ended yet: what `summary.json` would say."""

from __future__ import annotations

from typing import Any

from batchfim.metrics.audit import unfinished
from batchfim.metrics.done import Done
from batchfim.storage.ledger import Ledger


def summary_now(ledger: Ledger, done: Done) -> dict[str, Any]:
    """The sums of what is done, and what the last run that ended said of itself.

    It is not `complete` where shards were planned after that.

    Args:
        ledger: the job's.
        done: what it says is done.
    """
    left = unfinished(ledger.planned_rows(), done.ids, ledger.absent_files())
    return summary_of(ledger, done, num_unworked=left.num_rows)


def summary_of(ledger: Ledger, done: Done, *, num_unworked: int) -> dict[str, Any]:
    """The same for who knows already how many planned shards are not done."""
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
