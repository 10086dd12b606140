"""A disk that is full in the middle of a part: a real one, of a megabyte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from batchfim.errors import StorageBusy, StorageError
from batchfim.storage.location import Location
from batchfim.storage.parts import write_part

BIG = pa.table({"data": [os.urandom(1000) for _ in range(4000)]})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, where mounting is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_nothing_of_the_part_is_left_and_the_error_says_so(small_disk: Path) -> None:
    part = Location.of(str(small_disk / "part.parquet"))
    with pytest.raises(StorageError, match=r"part\.parquet.*: the disk is full; free") as caught:
        write_part(part, BIG, "none")
    assert not isinstance(caught.value, StorageBusy)
    assert list(small_disk.iterdir()) == []
    write_part(part, BIG.slice(0, 100), "none")


def test_what_was_there_stays_when_its_successor_does_not_fit(small_disk: Path) -> None:
    file = Location.of(str(small_disk / "plan"))
    file.write(b"old")
    with pytest.raises(StorageError, match="the disk is full"):
        file.write(bytes(2 << 20))
    assert file.read() == b"old"
    assert [path.name for path in small_disk.iterdir()] == ["plan"]


def test_nor_is_anything_left_at_the_limit_of_a_file(tmp_path: Path) -> None:
    """Where nothing can be mounted: the kernel's limit on one file breaks the write off."""
    code = f"""
import resource
from batchfim.storage.location import Location
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
Location.of({str(tmp_path / "part")!r}).write(bytes(2 << 20))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StorageError" in done.stderr
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []
