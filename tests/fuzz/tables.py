"""Small tables of records and the many ways Parquet has to hold them."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_TEXTS: tuple[Any, ...] = (
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.string_view(),
    pa.binary_view(),
)
_OTHERS: tuple[tuple[pa.DataType, Any], ...] = (
    (pa.int64(), 7),
    (pa.null(), None),
    (pa.list_(pa.string()), ["a", None]),
    (pa.struct([("path", pa.string())]), {"path": "../x"}),
    (pa.list_(pa.struct([("path", pa.string()), ("text", pa.string())])), [{"path": "a"}, None]),
    (pa.map_(pa.string(), pa.int8()), [("a", 1)]),
    (pa.decimal128(20, 3), None),
    (pa.timestamp("us", "UTC"), 5),
    (pa.list_(pa.string_view()), ["a", "b"]),
    (pa.binary(4), b"abcd"),
    (pa.bool_(), True),
)
_NAMES = ["id", " ", "a.b", "a\nb", "\x1b[31m", "ключ", "status", "prefix", "a" * 300, "../x"]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Up to twelve records, texts of any type, and some further column of any other."""
    num_rows = draw(st.integers(0, 12))
    columns, names = [], []
    for name in ("prefix", "suffix"):
        values = draw(st.lists(_TEXT | st.none(), min_size=num_rows, max_size=num_rows))
        kind = draw(st.sampled_from(_TEXTS))
        columns.append(pa.array(values, pa.string()).cast(kind) if num_rows else pa.array([], kind))
        names.append(name)
    if draw(st.booleans()):
        kind, value = draw(st.sampled_from(_OTHERS))
        columns.append(pa.array([value] * num_rows, kind))
        names.append(draw(st.sampled_from(_NAMES)))
    columns.append(pa.array([f"r{row}" for row in range(num_rows)], pa.string()))
    names.append("row")
    order = draw(st.permutations(range(len(names))))
    return pa.Table.from_arrays([columns[i] for i in order], [names[i] for i in order])


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    """How Parquet lays a table out."""
    dictionary = draw(st.booleans())
    return {
        "row_group_size": draw(st.sampled_from([1, 3, 1000])),
        "compression": draw(st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4", "brotli"])),
        "use_dictionary": dictionary,
        "data_page_size": draw(st.sampled_from([1, 1 << 20])),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
        "column_encoding": None if dictionary else draw(st.sampled_from([None, _DELTA])),
        "write_page_checksum": draw(st.booleans()),
        "write_page_index": draw(st.booleans()),
        "store_schema": draw(st.booleans()),
    }


_DELTA = {"row": "DELTA_BYTE_ARRAY"}


def parquet(table: pa.Table, **layout: Any) -> bytes:
    """The bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **layout)
    return sink.getvalue()
