"""Rows read from a storage that fails in the middle are the file's own, or none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import InputError, StorageBusy, StorageError
from batchfim.shards import Shard
from batchfim.storage.rows import RowReader
from tests.parquet import content_of
from tests.s3.proxy import Fault
from tests.s3.server import S3

NUM_ROWS = 9000


@pytest.fixture
def url(s3: S3, bucket: str, tmp_path: Path) -> str:
    """A file of several megabytes, which takes many requests to read."""
    upload(s3, bucket, tmp_path, "x")
    return f"{bucket}/a.parquet"


def upload(s3: S3, bucket: str, folder: Path, letter: str) -> None:
    texts = [f"{row} {letter * 2000}" for row in range(NUM_ROWS)]
    table = pa.table({"row": range(NUM_ROWS), "text": texts})
    pq.write_table(table, folder / "a.parquet", compression="none", use_dictionary=False)
    s3.upload(folder, bucket)


def shard(url: str, start: int, num_rows: int = 100) -> Shard:
    return Shard(f"{start}", "file", content_of(url), url, start, num_rows)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.BUSY])
def test_reading_goes_on_where_it_failed(s3: S3, url: str, fault: Fault) -> None:
    reader = RowReader(["row"])
    shards = [shard(url, start, 300) for start in range(0, NUM_ROWS, 300)]
    s3.proxy.fail(fault, times=3, matching="GET")
    rows = [row for one in shards for row in reader.read(one)["row"].to_pylist()]
    assert s3.proxy.num_faults
    assert rows == list(range(NUM_ROWS))
    assert reader.num_opened == 1


def test_trouble_of_the_storage_is_never_taken_for_damage(
    s3: S3, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "0")
    reader = RowReader(["row", "text"])
    shards = [shard(url, start) for start in (0, NUM_ROWS - 100)]
    reader.read(shards[0])
    s3.proxy.fail(Fault.RESET)
    with pytest.raises(StorageBusy, match=rf"^{url}: "):
        reader.read(shards[1])
    s3.proxy.fail(Fault.DENIED)
    with pytest.raises(StorageError, match="access denied"):
        reader.read(shards[1])
    s3.proxy.heal()
    assert reader.read(shards[1]).num_rows == 100


def test_another_file_in_its_place_is_not_read_on(s3: S3, url: str, tmp_path: Path) -> None:
    wanted = shard(url, 0)
    upload(s3, url.rpartition("/")[0], tmp_path, "yy")
    with pytest.raises(InputError, match="has changed since it was planned"):
        RowReader(["row"]).read(wanted)


def test_a_small_file_is_read_in_few_requests(s3: S3, bucket: str, tmp_path: Path) -> None:
    columns = [f"column {i}" for i in range(20)]
    pq.write_table(pa.table({name: [1, 2] for name in columns}), tmp_path / "a.parquet")
    s3.upload(tmp_path, bucket)
    wanted = shard(f"{bucket}/a.parquet", 0, 2)
    before = len(s3.proxy.requests)
    assert RowReader(columns).read(wanted).num_rows == 2
    assert len(s3.proxy.requests) - before == 4  # size and footer, size and content
