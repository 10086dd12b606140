"""The record of planned files that moved, changed or are gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batchfim.errors import StorageError
from batchfim.planning.cutting import cut_shards, halve
from batchfim.shards import InputFile, SeenFiles
from batchfim.storage.ledger import Ledger

FILE = InputFile("/data/a.parquet", "aa", 30, 10.0)
SHARDS = cut_shards([FILE], 10, "job")
SEEN = SeenFiles({FILE.id: "/moved/a.parquet"}, frozenset({"b", "c"}), frozenset({"d"}))


def stored(ledger: Ledger) -> Path:
    return Path(ledger.root.path, "absent.json")


def test_it_comes_back_and_is_written_only_when_it_changes(ledger: Ledger) -> None:
    ledger.seen.write(SeenFiles())
    assert (stored(ledger).exists(), ledger.seen.read()) == (False, SeenFiles())
    ledger.seen.write(SEEN)
    before = stored(ledger).stat()
    ledger.seen.write(SEEN)
    assert (stored(ledger).stat(), ledger.seen.read()) == (before, SEEN)


def test_the_list_of_earlier_versions_is_of_absent_files(ledger: Ledger) -> None:
    stored(ledger).write_text(json.dumps(["b", "c"]))
    assert ledger.seen.read() == SeenFiles(absent=frozenset({"b", "c"}))


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"moved": ["a"]}', '{"absent": 1}'])
def test_a_damaged_one_is_named_with_what_to_do(ledger: Ledger, text: str) -> None:
    stored(ledger).write_text(text)
    with pytest.raises(StorageError, match=r"absent\.json: not a record .* the next run rewrites"):
        ledger.seen.read()


def test_shards_are_read_with_the_paths_where_their_files_were_last_seen(ledger: Ledger) -> None:
    """Those of halves, too, planned where the file was for a while."""
    ledger.add_to_plan(SHARDS)
    parent = replace(SHARDS[0], path="/for a while/a.parquet")
    ledger.split(parent, halve(parent, "job"))
    ledger.seen.write(SEEN)
    assert {shard.path for shard in ledger.plan()} == {"/moved/a.parquet"}
    left = ledger.planned_without([SHARDS[1].id], [FILE.id])
    assert [(s.start, s.path) for s in left] == [(n, "/moved/a.parquet") for n in (0, 5, 20)]


def test_it_goes_with_the_plan_that_it_is_about(ledger: Ledger) -> None:
    ledger.claim_job({"a": 1}, {}, {})
    ledger.add_to_plan(SHARDS)
    ledger.seen.write(SEEN)
    ledger.claim_job({"a": 2}, {}, {})
    assert (list(ledger.plan()), ledger.seen.read()) == ([], SeenFiles())
