"""Ledger files with a few bytes changed: one of our errors, or exactly what was written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchfim.errors import OutputError, StorageError
from batchfim.metrics.done import Done
from batchfim.planning.cutting import cut_shards, halve
from batchfim.shards import InputFile, Shard
from batchfim.storage.ledger import Ledger
from tests.storage.made_jobs import report, stage

SHARDS = cut_shards([InputFile("/data/a.parquet", "aa", 60, 10.0)], 10, "job")
DAMAGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=3)
KEPT = st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.0])


@contextmanager
def finished_job() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.at(folder)
        ledger.prepare()
        ledger.claim_job({"a": 1}, {}, {})
        ledger.add_to_plan(SHARDS)
        ledger.split(SHARDS[0], halve(SHARDS[0], "job"))
        for shard in SHARDS[1:]:
            stage(ledger, shard)
            ledger.commit(report(shard))
        ledger.compact()
        ledger.write_summary({"rows": {"failed": 0}, "runs": [], "complete": True})
        yield ledger


def damage(path: Path, changes: list[tuple[float, int]], kept: float) -> None:
    content = bytearray(path.read_bytes())
    for place, flips in changes:
        content[int(place * len(content))] ^= flips
    path.write_bytes(content[: int(kept * len(content))])


def everything(ledger: Ledger) -> tuple[list[Shard], list[Any], Any]:
    done: Done = Ledger(ledger.output).done()
    return ledger.plan(), [done.table.to_pylist(), ledger.shards().to_pylist()], done.totals


@pytest.mark.parametrize("pattern", ["plan/0*.parquet", "plan/split-*.parquet", "done/*.parquet"])
@settings(deadline=None, max_examples=20)
@given(changes=DAMAGE, kept=KEPT)
@example(changes=[(0.5, 1)], kept=1.0)
@example(changes=[(0.375, 128)], kept=1.0)  # in the name of a column
def test_a_damaged_table_is_named_or_harmless(
    pattern: str, changes: list[tuple[float, int]], kept: float
) -> None:
    with finished_job() as ledger:
        before = everything(ledger)
        (path,) = Path(ledger.root.path).glob(pattern)
        damage(path, changes, kept)
        try:
            assert everything(ledger) == before
        except StorageError as error:
            assert path.name in str(error)  # noqa: PT017 - either way is right


@settings(deadline=None, max_examples=20)
@given(changes=DAMAGE, kept=KEPT)
def test_a_damaged_job_or_summary_is_one_of_our_errors(
    changes: list[tuple[float, int]], kept: float
) -> None:
    with finished_job() as ledger:
        for name in ("job.json", "summary.json"):
            damage(Path(ledger.root.path) / name, changes, kept)
        assert isinstance(ledger.summary().get("runs", []), list)
        try:
            assert isinstance(ledger.job()["fields"], dict)
        except OutputError as error:
            assert "job.json" in str(error)  # noqa: PT017
