"""Rows whose columns or counts once went wrong on the way through a whole job."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs_in_process import Job

SAMPLES = ("sampling.n=2", "sampling.temperature=1")


@pytest.mark.parametrize("view", [pa.string_view(), pa.binary_view()], ids=str)
def test_two_samples_of_columns_that_are_views(job: Job, view: pa.DataType) -> None:
    tags = [b"tag", None, b"a text longer than the twelve bytes a view holds"] * 4
    path = job.write("a.parquet", range(12))
    table = pq.read_table(path)
    for name, values in (("tag", tags), ("prefix", table["prefix"].to_pylist())):
        column = pa.array([value.encode() if isinstance(value, str) else value for value in values])
        place = table.schema.get_field_index(name)
        new = column.cast(pa.string()).cast(view) if view == pa.string_view() else column.cast(view)
        table = table.append_column(name, new) if place < 0 else table.set_column(place, name, new)
    pq.write_table(table, path)
    assert pq.read_schema(path).field("tag").type == view

    job.run(*SAMPLES)

    rows = job.rows()
    assert len(rows) == 24
    assert {row["status"] for row in rows} == {"ok"}
    plain = [tag and tag.decode() for tag in tags] if view == pa.string_view() else tags
    found = {(row["id"], row["sample"]): row["tag"] for row in rows}
    assert found == {(f"r{i}", sample): plain[i] for i in range(12) for sample in (0, 1)}


def test_errors_are_counted_by_their_reason_without_its_place(job: Job) -> None:
    prefix = pa.array([None] * 300 + ["x = "], pa.string())
    job.write("a.parquet", range(301), prefix=prefix)

    result = job.run("schedule.shard_rows=40")

    assert result.summary["errors"] == {"column 'prefix' is null, expected text": 300}
    assert result.summary["rows"]["rejected"] == 300
    places = {row["error"] for row in job.rows() if row["error"]}
    assert len(places) == 300  # in the part, each row says where it is
    assert f"{job.records / 'a.parquet'}, row 77: column 'prefix' is null, expected text" in places
