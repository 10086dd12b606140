"""The audit: rows in = ok + rejected + failed, shard by shard and in all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchfim.metrics.report import ShardReport
from batchfim.shards import Shard


def audit(planned: Iterable[Shard], reports: Sequence[ShardReport], samples: int) -> list[str]:
    """What does not add up; empty where every committed shard accounts for all its rows.

    Args:
        planned: the job's shards; those without a report are not done and not audited.
        reports: the committed shards' reports.
        samples: output rows per record.
    """
    rows = {shard.id: shard.num_rows for shard in planned}
    return [complaint for report in reports for complaint in _complaints(report, rows, samples)]


def _complaints(report: ShardReport, rows: dict[str, int], samples: int) -> Iterable[str]:
    counts = report.counts
    if report.shard_id not in rows:
        yield f"shard {report.shard_id} is done but was never planned"
        return
    expected = rows[report.shard_id] * samples
    if counts.rows != expected:
        yield f"shard {report.shard_id} has {counts.rows} rows, expected {expected}"
    if counts.ok + counts.rejected + counts.failed != counts.rows:
        yield f"shard {report.shard_id}: ok, rejected and failed do not add up to its rows"
