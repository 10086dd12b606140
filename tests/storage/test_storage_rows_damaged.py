"""A page that went bad on disk is noticed where its writer left a checksum."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import InputError
from batchfim.shards import Shard
from batchfim.storage.rows import RowReader
from tests.parquet import content_of


def test_one_flipped_bit_of_a_text_is_an_error_and_not_another_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"prefix": ["print('hello')"]})
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, path, write_page_checksum=True, **plain)
    path.write_bytes(path.read_bytes().replace(b"hello", b"hellp", 1))
    shard = Shard("id", "file", content_of(path), str(path), 0, 1)
    with pytest.raises(InputError, match=r"rows 0 to 0 cannot be read: .*CRC"):
        RowReader(["prefix"]).read(shard)
