"""The lease on stores that are no local disk, and on ones that stumble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from batchfim.errors import JobHeld, StorageError
from batchfim.storage.job_lease import JobLease
from batchfim.storage.location import Location

CLAIM = {"host": "elsewhere", "machine": "another", "pid": 7, "started_s": 0.0, "held": True}


class Stumbling(LocalFileSystem):  # type: ignore[misc]
    """A local disk on which one file can be listed, but not read."""

    cachable = False

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if path.endswith("other.json") and "r" in mode:
            raise OSError("please reduce your request rate")
        return super().open(path, mode, **options)


def test_a_store_without_times_of_its_own() -> None:
    folder = Location.of("memory://batchfim-test-lease")
    folder.make_folder()
    with JobLease(folder), pytest.raises(JobHeld):
        JobLease(folder).__enter__()


def test_a_machine_that_died_is_waited_out_without_times_too() -> None:
    folder = Location.of("memory://batchfim-test-dead-lease")
    folder.make_folder()
    (folder / "other.json").write(json.dumps(CLAIM | {"lease_s": 2}).encode())
    with JobLease(folder):
        assert len(folder.list()) == 1


def test_a_claim_that_cannot_be_read_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "0")
    (tmp_path / "other.json").write_text(json.dumps(CLAIM))
    folder = Location(fs.PyFileSystem(fs.FSSpecHandler(Stumbling())), str(tmp_path))
    with pytest.raises(StorageError, match=r"other\.json: please reduce your request rate"):
        JobLease(folder).__enter__()
    assert (tmp_path / "other.json").exists()
