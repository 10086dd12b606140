"""Rows become holes, or say why they cannot."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batchfim.errors import InputError
from batchfim.records import (
    OUTPUT_COLUMNS,
    Fault,
    Hole,
    is_context,
    is_text,
    output_schema,
    read_hole,
    read_holes,
    read_optional,
)
from batchfim.surroundings import ContextFile, Surroundings

TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
    pa.dictionary(pa.int32(), pa.binary()),
]
OTHER_TYPES = [pa.int64(), pa.list_(pa.string()), pa.null(), pa.bool_(), pa.binary(4)]
TEXTS = ["def f(x):\r\n", "", "é名😀\x00", None]


@pytest.mark.parametrize("data_type", TEXT_TYPES, ids=str)
def test_every_kind_of_text_column_reads_alike(data_type: pa.DataType) -> None:
    assert is_text(data_type)
    value_type = data_type.value_type if pa.types.is_dictionary(data_type) else data_type
    column = pa.array(TEXTS, pa.string()).cast(value_type)
    if value_type != data_type:
        column = column.dictionary_encode().cast(data_type)
    table = pa.table({"before": column, "after": ["s"] * 4})
    assert read_holes(table, "before", "after") == [
        *(Hole(text, "s") for text in TEXTS[:3]),
        Fault("column 'before' is null, expected text"),
    ]
    for row in range(3):
        assert read_hole(table["before"], table["after"], row) == Hole(str(TEXTS[row]), "s")


@pytest.mark.parametrize("data_type", OTHER_TYPES, ids=str)
def test_other_columns_are_no_text(data_type: pa.DataType) -> None:
    assert not is_text(data_type)
    assert not is_text(pa.dictionary(pa.int32(), pa.int64()))


def test_bytes_that_are_not_utf8_stop_their_row_only() -> None:
    column = pa.array([b"ok", b"abc\xff", b"\xe5\x90", b"\xed\xa0\x80", "é".encode()])
    holes = read_holes(pa.table({"prefix": column, "suffix": ["s"] * 5}), "prefix", "suffix")
    assert (holes[0], holes[4]) == (Hole("ok", "s"), Hole("é", "s"))
    reasons = [hole.reason for hole in holes[1:4] if isinstance(hole, Fault)]
    assert reasons == [
        "column 'prefix' is not UTF-8 text: invalid start byte at byte 3",
        "column 'prefix' is not UTF-8 text: unexpected end of data at byte 0",
        "column 'prefix' is not UTF-8 text: invalid continuation byte at byte 0",
    ]


def test_either_side_can_be_at_fault_and_the_prefix_speaks_first() -> None:
    table = pa.table({"p": pa.array(["a", None, None]), "s": pa.array([None, "b", None])})
    assert read_holes(table, "p", "s") == [
        Fault("column 's' is null, expected text"),
        Fault("column 'p' is null, expected text"),
        Fault("column 'p' is null, expected text"),
    ]


def test_dictionaries_that_differ_from_chunk_to_chunk() -> None:
    chunks = [pa.array(texts).dictionary_encode() for texts in (["a", "b"], ["b", None, "c"])]
    table = pa.table({"p": pa.chunked_array(chunks), "s": list("vwxyz")})
    prefixes = [getattr(hole, "prefix", None) for hole in read_holes(table, "p", "s")]
    assert prefixes == ["a", "b", "b", None, "c"]


def test_a_column_that_may_be_absent() -> None:
    table = pa.table({"l": pa.array([b"py", None, b"\xff"])})
    assert read_optional(table, "l") == ["py", None, None]
    assert read_optional(table, None) == [None] * 3


def test_no_rows_are_no_holes() -> None:
    empty = pa.table({"p": pa.array([], pa.string()), "s": pa.array([], pa.string())})
    assert read_holes(empty, "p", "s") == []


def test_the_output_is_what_rides_along_and_then_our_own() -> None:
    kept = pa.schema([("id", pa.string()), ("prefix", pa.large_string())])
    assert tuple(output_schema(kept, "a.parquet").names) == ("id", "prefix", *OUTPUT_COLUMNS)


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_no_input_column_may_hide_one_of_our_own(name: str) -> None:
    kept = pa.schema([("id", pa.string()), (name, pa.string())])
    with pytest.raises(
        InputError, match=rf"a\.parquet: column '{name}' .*input\.keep=\[\"id\"\]'$"
    ):
        output_schema(kept, "a.parquet")


FILE = pa.struct({"path": pa.string(), "text": pa.string()})


def test_surroundings_are_read_and_what_is_null_is_empty() -> None:
    table = pa.table(
        {
            "p": ["a"] * 3,
            "s": ["b"] * 3,
            "file": pa.array([b"m.py", None, b"\xff"]),
            "others": pa.array(
                [[{"path": "u.py", "text": "é"}, None, {"path": None, "text": None}], None, []],
                pa.list_(FILE),
            ),
        }
    )
    columns = {"path": "file", "context": "others"}
    assert read_holes(table, "p", "s", columns) == [
        Hole(
            "a",
            "b",
            Surroundings(path="m.py", context=(ContextFile("u.py", "é"), ContextFile("", ""))),
        ),
        Hole("a", "b"),
        Fault("column 'file' is not UTF-8 text: invalid start byte"),
    ]


@pytest.mark.parametrize(
    ("data_type", "good"),
    [
        (pa.list_(FILE), True),
        (pa.large_list(FILE), True),
        (
            pa.list_(pa.struct({"text": pa.binary(), "path": pa.large_string(), "n": pa.int8()})),
            True,
        ),
        (pa.list_(pa.struct({"path": pa.string()})), False),
        (pa.list_(pa.struct({"path": pa.string(), "text": pa.int8()})), False),
        (pa.list_(pa.string()), False),
        (FILE, False),
        (pa.string(), False),
    ],
    ids=str,
)
def test_what_holds_context_files(data_type: pa.DataType, good: bool) -> None:
    assert is_context(data_type) is good
