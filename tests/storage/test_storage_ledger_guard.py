"""A run that lost its lease marks nothing and deletes nothing, whenever that happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.errors import JobFailed
from batchfim.shards import Shard
from batchfim.storage.ledger import Ledger
from tests.storage.made_jobs import report, stage

SHARDS = [Shard(f"{i:020x}", "file", "content", "/a.parquet", i, 1) for i in range(6)]
IDS = {shard.id for shard in SHARDS}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Six committed shards, of which one marker is in a segment with another."""
    ledger = Ledger.at(str(tmp_path / "out"))
    ledger.prepare()
    for number, shard in enumerate(SHARDS):
        stage(ledger, shard)
        ledger.commit(report(shard))
        if number == 1:
            ledger.compact()
    return ledger


def lose() -> None:
    raise JobFailed("the lease was lost")


def test_nothing_is_deleted_any_more(ledger: Ledger) -> None:
    staged = ledger.staged("run", SHARDS[0].id, 2)
    staged.write(b"of the run that has the job now")
    ledger.guard(lose)
    for delete in (
        lambda: ledger.clean_up(()),
        lambda: ledger.clean_up(IDS),
        lambda: ledger.forget(IDS),
        lambda: ledger.supersede(SHARDS),
    ):
        with pytest.raises(JobFailed, match="the lease was lost"):
            delete()
    assert staged.exists()
    assert ledger.done_ids() == ledger.part_ids() == IDS


def test_a_part_that_came_too_late_gets_no_marker(ledger: Ledger) -> None:
    late = Shard(f"{9:020x}", "file", "content", "/a.parquet", 9, 1)
    stage(ledger, late)
    ledger.guard(lose)
    with pytest.raises(JobFailed, match="the lease was lost"):
        ledger.commit(report(late))
    assert ledger.done_ids() == IDS


def test_a_long_deletion_ends_where_the_lease_was_lost(ledger: Ledger) -> None:
    left = iter([None] * 3)

    def lose_later() -> None:
        if next(left, lose) is lose:
            lose()

    ledger.guard(lose_later)
    with pytest.raises(JobFailed, match="the lease was lost"):
        ledger.clean_up(IDS)
    assert len(ledger.part_ids()) == 3
