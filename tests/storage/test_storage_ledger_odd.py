"""What the fuzz found of the ledger: files that are read, but say what cannot be."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import StorageError
from batchfim.shards import Shard
from batchfim.storage.ledger import Ledger
from tests.storage.made_jobs import report

ONE = Shard("0" * 20, "file", "content", "a.parquet", 0, 4)


@pytest.mark.parametrize("odd", [{"num_rows": None}, {"path": b"\x80"}])
def test_a_plan_with_a_value_that_is_none_is_named(ledger: Ledger, odd: dict[str, object]) -> None:
    ledger.add_to_plan([ONE])
    [path] = [info.path for info in (ledger.root / "plan").list()]
    table = pq.read_table(path)
    [(name, value)] = odd.items()
    place = table.column_names.index(name)
    kind = pa.int64() if value is None else pa.binary()
    column = pa.array([value], kind)
    pq.write_table(table.set_column(place, name, column), path)
    with pytest.raises(StorageError, match=r"\.parquet: not a plan of this version"):
        ledger.plan()


def test_a_marker_without_one_of_its_timings_is_named(ledger: Ledger) -> None:
    timings = report(ONE).timings
    marker = report(ONE).model_copy(update={"timings": {"ttft_s": timings["ttft_s"]}})
    (ledger.root / "done" / f"{ONE.id}.json").write(marker.model_dump_json().encode())
    with pytest.raises(StorageError, match=r"not a marker of this version .*timings must be"):
        ledger.shards()
