"""Check one part against its marker: bytes, rows and statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchfim.arrow import reader
from batchfim.records import Status
from batchfim.storage.location import Location
from batchfim.storage.parts import checksum


def check_part(part: Location, marker: Mapping[str, Any]) -> list[str]:
    """What is wrong with a part, as messages; reads the whole file.

    Args:
        part: the file.
        marker: its shard's row, with columns `metrics.done.DONE_SCHEMA`.
    """
    data = part.read()
    if len(data) != marker["size_bytes"]:
        return [f"has {len(data)} bytes, but its marker says {marker['size_bytes']}"]
    if checksum(data) != marker["checksum"]:
        return ["does not match the checksum in its marker"]
    try:
        return list(_rows_that_differ(data, marker))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        return [f"cannot be read as Parquet ({error})"]


def _rows_that_differ(data: bytes, marker: Mapping[str, Any]) -> Iterator[str]:
    file = pq.ParquetFile(reader(data))
    if file.metadata.num_rows != marker["rows"]:
        yield f"has {file.metadata.num_rows} rows, but its marker says {marker['rows']}"
        return
    if "status" not in file.schema_arrow.names:
        yield "has no column 'status'"
        return
    counted = pc.value_counts(file.read(["status"])["status"]).to_pylist()
    found = {entry["values"]: entry["counts"] for entry in counted}
    expected = {name.value: marker[name] for name in Status if marker[name]}
    if found != expected:
        yield f"has {_counts_text(found)} rows, but its marker says {_counts_text(expected)}"


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
