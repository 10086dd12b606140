"""Whose output it is: the same job may go on, another one is refused with the difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchfim.config import JobConfig
from batchfim.errors import OutputError
from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile
from batchfim.storage.ledger import Ledger
from batchfim.storage.regrouped import RegroupedCopies
from tests.storage.made_jobs import report, stage

FILE = InputFile("/a.parquet", "aa", 5, 1.0)
(SHARD,) = cut_shards([FILE], 10, "job")
FACTS = {"config": {"schedule": {"workers": 1}}, "versions": {"batchfim": "1"}}


def fields(**sampling: Any) -> dict[str, Any]:
    config = JobConfig.model_validate(
        {
            "input": {"paths": ["a.parquet"], "keep": ["id"]},
            "output": {"path": "out"},
            "model": {"path": "demo"},
            "sampling": sampling,
        }
    )
    return config.fingerprint_fields()


DEFAULTS = fields()


def finish(ledger: Ledger) -> None:
    stage(ledger, SHARD)
    ledger.commit(report(SHARD))


def test_the_same_job_may_go_on(ledger: Ledger) -> None:
    ledger.claim_job(fields(), DEFAULTS, FACTS)
    ledger.add_to_plan([SHARD])
    finish(ledger)
    before = (ledger.root / "job.json").read()
    ledger.claim_job(fields(), DEFAULTS, {"versions": {"batchfim": "2"}})
    assert (ledger.root / "job.json").read() == before
    ledger.note_config({"schedule": {"workers": 9}})
    assert ledger.job() == json.loads(before) | {"config": {"schedule": {"workers": 9}}}
    assert ledger.plan() == [SHARD]


def test_another_job_is_refused_once_work_is_finished(ledger: Ledger) -> None:
    ledger.claim_job(fields(), DEFAULTS, FACTS)
    finish(ledger)
    with pytest.raises(OutputError, match="holds finished work of another job") as caught:
        ledger.claim_job(fields(max_tokens=7, temperature=0.5), DEFAULTS, FACTS)
    message = str(caught.value)
    assert "sampling.max_tokens: 128 there, 7 now" in message
    assert "sampling.temperature: 0.0 there, 0.5 now" in message
    assert "top_p" not in message  # what agrees is no difference
    assert "keep" not in message  # a tuple here, a list in the file
    assert ledger.done_ids() == {SHARD.id}


def test_another_job_may_start_while_nothing_is_finished(ledger: Ledger) -> None:
    ledger.claim_job(fields(), DEFAULTS, FACTS)
    ledger.add_to_plan([SHARD])
    copies = RegroupedCopies(ledger.regrouped)
    ledger.regrouped.make_folder()
    copies.finish(copies.new_id(), [FILE])
    ledger.claim_job(fields(max_tokens=7), DEFAULTS, FACTS)
    assert ledger.plan() == []
    assert copies.finished() == {}
    job = json.loads((ledger.root / "job.json").read())
    assert job["fields"]["sampling"]["max_tokens"] == 7
    assert job["versions"] == {"batchfim": "1"}


def without(changed: dict[str, Any], *names: str) -> dict[str, Any]:
    """Fields as a version wrote them that did not have these settings."""
    sampling = {k: v for k, v in changed["sampling"].items() if k not in names}
    return changed | {"sampling": sampling}


def test_a_job_outlives_a_version_that_has_more_settings(ledger: Ledger) -> None:
    first = ledger.claim_job(without(fields(), "logprobs", "top_k"), DEFAULTS, FACTS)
    finish(ledger)
    assert ledger.claim_job(fields(), DEFAULTS, FACTS) == first  # shards keep their ids
    with pytest.raises(OutputError, match=r"\(sampling\.logprobs: 'none' there, 'sum' now\)"):
        ledger.claim_job(fields(logprobs="sum"), DEFAULTS, FACTS)


def test_another_default_is_another_job(ledger: Ledger) -> None:
    ledger.claim_job(fields(), DEFAULTS, FACTS)
    finish(ledger)
    changed = fields(max_tokens=64)
    with pytest.raises(OutputError, match=r"sampling\.max_tokens: 128 there, 64 now"):
        ledger.claim_job(changed, changed, FACTS)


@pytest.mark.parametrize("name", ["notes.txt", "part-0.parquet", ".hidden"])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match=f"not written by batchfim.*{name}"):
        Ledger.at(str(tmp_path)).prepare()
    assert (tmp_path / name).read_bytes() == b"mine"
    assert [file.name for file in tmp_path.iterdir()] == [name]  # no folder was made either


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"version": 1, "fingerprint": "f", "fields": {}}',
        b'{"fingerprint": "f", "fields": {}}',
        b'{"version": 3, "fingerprint": "f"}',
        b'{"version": 3, "fields": {}}',
        b'{"version": 3, "fingerprint": "g", "fields": null}',
    ],
)
def test_a_job_file_of_garbage_is_refused_and_left_alone(ledger: Ledger, garbage: bytes) -> None:
    finish(ledger)
    (ledger.root / "job.json").write(garbage)
    with pytest.raises(OutputError, match=r"job\.json: not a job of this batchfim version"):
        ledger.claim_job(fields(), DEFAULTS, FACTS)
    assert (ledger.root / "job.json").read() == garbage


def test_nothing_stored_is_code(ledger: Ledger) -> None:
    ledger.claim_job(fields(), DEFAULTS, FACTS)
    ledger.add_to_plan([SHARD])
    finish(ledger)
    names = {path.suffix for path in Path(ledger.root.path).rglob("*") if path.is_file()}
    assert names == {".json", ".parquet"}
