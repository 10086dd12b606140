"""A job whose later files have the same columns in another form, or one more."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import InputError, OutputError
from tests.jobs_in_process import Job, names

TEXT = pa.string()


def write(job: Job, name: str, rows: range, schema: pa.Schema) -> Path:
    """A file whose text columns are in the order and the types of a schema."""
    path = job.write(name, rows, stars=list(rows), topic=["x"] * len(rows))
    table = pq.read_table(path).select(schema.names)
    columns = [
        pa.nulls(len(rows)) if pa.types.is_null(field.type) else table[field.name].cast(field.type)
        for field in schema
    ]
    pq.write_table(pa.table(columns, schema=schema), path)
    return path


FIRST = pa.schema(
    [("id", TEXT), ("prefix", TEXT), ("suffix", TEXT), ("stars", pa.int64()), ("topic", TEXT)]
)
LATER = pa.schema(
    [
        pa.field("topic", pa.null()),
        pa.field("stars", pa.int32(), nullable=False),
        pa.field("suffix", pa.dictionary(pa.int32(), TEXT)),
        pa.field("prefix", pa.large_string()),
        pa.field("id", pa.large_string(), nullable=False),
    ]
)


def schemas(job: Job) -> list[pa.Schema]:
    return [pq.read_schema(path) for path in job.output.glob("part-*.parquet")]


@pytest.mark.parametrize("alone", [False, True], ids=["beside the first", "alone"])
def test_a_later_file_may_have_other_forms_of_the_same_columns(job: Job, alone: bool) -> None:
    write(job, "a.parquet", range(12), FIRST)
    job.run()
    later = write(job, "../other/0.parquet" if alone else "0.parquet", range(12, 16), LATER)
    job.run(paths=[later] if alone else [])
    assert job.ids() == names(16)
    (first, *others) = schemas(job)
    assert first.names[:5] == FIRST.names
    assert first.types[:5] == FIRST.types
    assert all(other.equals(first) for other in others)


def test_a_column_that_was_null_throughout_may_have_text_later(job: Job) -> None:
    write(job, "a.parquet", range(12), LATER)
    job.run()
    write(job, "b.parquet", range(12, 16), FIRST.set(3, pa.field("stars", pa.int32())))
    job.run()
    assert sorted(str(row["topic"]) for row in job.rows()) == ["None"] * 12 + ["x"] * 4
    (first, *others) = schemas(job)
    assert all(other.equals(first) for other in others)


def test_a_type_that_holds_more_than_the_first_runs_is_another_job(job: Job) -> None:
    write(job, "a.parquet", range(12), LATER)
    job.run()
    write(job, "b.parquet", range(12, 16), FIRST)
    with pytest.raises(OutputError, match=r"columns kept\.stars: 'int32' there, 'int64' now"):
        job.run()


def test_columns_that_are_spelled_out_are_the_same_job(job: Job) -> None:
    job.run()
    assert job.run("input.keep=[suffix,prefix,id]").idle
    assert job.run("input.keep=[id,prefix,suffix]").idle
    with pytest.raises(OutputError, match=r"\(columns kept\.suffix: string is missing\)"):
        job.run("input.keep=[id,prefix]")


def test_a_later_file_with_one_more_column_is_processed_once_the_old_ones_are_chosen(
    job: Job,
) -> None:
    job.run()
    job.write("b.parquet", range(12, 16), **{"sample id": [1] * 4})
    with pytest.raises(InputError, match=r"\(sample id: int64\).* with input\.keep$"):
        job.run()
    job.run("input.keep=[id,prefix,suffix]")
    assert job.ids() == names(16)
    (first, *others) = schemas(job)
    assert all(other.equals(first) for other in others)
