"""Hand-made reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batchfim.metrics.shard_report import ShardReport, sample_fields
from batchfim.records import Completion


def make_report(shard_id: str, rows: list[Completion], phase_s: float = 1.0) -> ShardReport:
    return ShardReport(
        shard_id=shard_id,
        attempt=1,
        worker="w",
        records=len(rows),
        **sample_fields(rows, {}),
        checksum="0" * 32,
        size_bytes=1,
        read_s=phase_s,
        encode_s=2 * phase_s,
        generate_s=3 * phase_s,
        write_s=4 * phase_s,
    )


@pytest.fixture
def report() -> Callable[..., ShardReport]:
    return make_report
