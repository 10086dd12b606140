"""The audit: rows in = ok + rejected + failed in every shard, and its part is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from batchfim.metrics.report import ShardReport
from batchfim.shards import Shard


class Audit:
    """Checks reports one at a time; `complaints` stays empty while everything adds up."""

    def __init__(self, planned: Iterable[Shard], part_bytes: Mapping[str, int], samples: int):
        """What the reports must agree with.

        Args:
            planned: the job's shards; those without a report are not done and not audited.
            part_bytes: size of each visible part, by shard id.
            samples: output rows per record.
        """
        self._rows = {shard.id: shard.num_rows for shard in planned}
        self._part_bytes = part_bytes
        self._samples = samples
        self.complaints: list[str] = []

    def check(self, reports: Iterable[ShardReport]) -> Iterator[ShardReport]:
        """Pass the reports on, noting what does not add up."""
        for report in reports:
            self.complaints += _complaints(
                report, self._rows, self._part_bytes.get(report.shard_id), self._samples
            )
            yield report


def _complaints(
    report: ShardReport, rows: dict[str, int], part_bytes: int | None, samples: int
) -> Iterator[str]:
    counts = report.counts
    if report.shard_id not in rows:
        yield f"shard {report.shard_id} is done but was never planned"
        return
    if part_bytes != report.size_bytes:
        found = "is gone" if part_bytes is None else f"has {part_bytes} bytes"
        yield f"part-{report.shard_id}.parquet {found}, its marker says {report.size_bytes}"
    expected = rows[report.shard_id] * samples
    if counts.rows != expected:
        yield f"shard {report.shard_id} has {counts.rows} rows, expected {expected}"
    if counts.ok + counts.rejected + counts.failed != counts.rows:
        yield f"shard {report.shard_id}: ok, rejected and failed do not add up to its rows"
