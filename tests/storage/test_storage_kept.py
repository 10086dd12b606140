"""One schema for the columns kept, whatever the files and runs of a job make of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from batchfim.storage.kept import (
    as_before,
    as_kept,
    differences,
    kept_type,
    packed,
    unified,
    unpacked,
    wider,
    without_nulls,
)

TEXT, LARGE, VIEW = pa.string(), pa.large_string(), pa.string_view()
CATEGORY = pa.dictionary(pa.int8(), TEXT)
NOT_NULL = pa.field("a", TEXT, nullable=False)


def struct(**types: pa.DataType) -> pa.DataType:
    return pa.struct(list(types.items()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TEXT, LARGE),
        (TEXT, VIEW),
        (TEXT, CATEGORY),
        (CATEGORY, pa.dictionary(pa.int32(), LARGE)),
        (pa.binary(), pa.large_binary()),
        (pa.list_(TEXT), pa.large_list(LARGE)),
        (pa.list_(TEXT), pa.list_(pa.field("element", TEXT, nullable=False))),
        (pa.list_(TEXT, 2), pa.list_(LARGE, 2)),
        (pa.map_(TEXT, TEXT), pa.map_(LARGE, VIEW)),
        (struct(a=TEXT), pa.struct([NOT_NULL])),
        (pa.list_(struct(a=TEXT)), pa.list_(struct(a=CATEGORY))),
    ],
    ids=str,
)
def test_forms_of_one_type_are_kept_as_one(one: pa.DataType, other: pa.DataType) -> None:
    assert kept_type(one) == kept_type(other) == one if one != CATEGORY else TEXT


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (TEXT, pa.null(), TEXT),
        (pa.list_(pa.null()), pa.list_(TEXT), pa.list_(TEXT)),
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.float64(), pa.float32(), pa.float64()),
        (
            struct(a=pa.null(), b=pa.int32()),
            struct(b=pa.int64(), a=TEXT),
            struct(a=TEXT, b=pa.int64()),
        ),
        (pa.int64(), TEXT, None),
        (pa.int64(), pa.uint64(), None),
        (pa.int32(), pa.float64(), None),
        (TEXT, pa.binary(), None),
        (struct(a=TEXT), struct(b=TEXT), None),
        (struct(a=TEXT), struct(a=pa.int64()), None),
        (pa.list_(TEXT), pa.list_(pa.int64()), None),
        (pa.timestamp("us"), pa.timestamp("ms"), None),
    ],
    ids=str,
)
def test_a_wider_type_holds_what_both_hold(
    one: pa.DataType, other: pa.DataType, both: pa.DataType | None
) -> None:
    assert wider(one, other) == both
    backwards = wider(other, one)
    assert (backwards is None) == (both is None)
    if backwards is not None and not pa.types.is_struct(backwards):
        assert backwards == both


def test_a_column_without_a_value_is_kept_as_text() -> None:
    schema = pa.schema([("a", pa.null()), ("b", pa.list_(pa.null())), ("c", pa.int64())])
    assert without_nulls(schema) == pa.schema(
        [("a", TEXT), ("b", pa.list_(TEXT)), ("c", pa.int64())]
    )


def test_what_keeps_two_schemas_apart_is_named() -> None:
    one = pa.schema([("same", TEXT), ("stars", pa.int64()), ("old", TEXT)])
    other = pa.schema([("new", TEXT), ("stars", TEXT), ("same", TEXT)])
    assert unified(one, other) is None
    assert differences(one, other) == [
        "new: string",
        "old: string",
        "stars: int64",
        "stars: string",
    ]


def test_later_runs_keep_the_order_and_the_types_of_the_first() -> None:
    before = pa.schema(
        [("a", pa.int64()), ("b", struct(x=TEXT)), ("c", pa.int32()), ("gone", TEXT)]
    )
    now = pa.schema([("new", TEXT), ("c", pa.int64()), ("b", pa.null()), ("a", pa.int32())])
    assert as_before(now, before) == pa.schema(
        [("a", pa.int64()), ("b", struct(x=TEXT)), ("c", pa.int64()), ("new", TEXT)]
    )


@pytest.mark.parametrize(
    ("values", "data_type", "kept"),
    [
        (["a", None], LARGE, TEXT),
        (["a", None], CATEGORY, TEXT),
        ([None, None], pa.null(), struct(a=TEXT)),
        ([[], None], pa.list_(pa.null()), pa.list_(TEXT)),
        ([["a"], None], pa.large_list(VIEW), pa.list_(TEXT)),
        ([{"a": "x"}, {"a": "y"}], pa.struct([NOT_NULL]), struct(a=TEXT)),
        ([1, 2], pa.int8(), pa.int64()),
        ([{"b": 1, "a": "x"}, None], struct(b=pa.int32(), a=LARGE), struct(a=TEXT, b=pa.int64())),
        ([[("k", "v")], None], pa.map_(LARGE, LARGE), pa.map_(TEXT, TEXT)),
    ],
    ids=str,
)
def test_values_are_kept_as_they_are(
    values: list[Any], data_type: pa.DataType, kept: pa.DataType
) -> None:
    fields = [pa.field("other", TEXT), pa.field("column", data_type)]
    rows = pa.table([["x", "y"], values], pa.schema(fields, {"made by": "a test"}))
    found = as_kept(rows, pa.schema([("column", kept), ("other", TEXT)]))
    assert found.schema.types == [kept, TEXT]
    assert found["column"].to_pylist() == values
    assert found.schema.metadata == {b"made by": b"a test"}


def test_text_that_is_not_utf8_is_kept() -> None:
    bad = pa.array([b"\xff"]).cast(pa.large_binary()).view(LARGE).dictionary_encode()
    kept = as_kept(pa.table({"a": bad}), pa.schema([("a", TEXT)]))
    assert kept["a"].cast(pa.binary()).to_pylist() == [b"\xff"]


def test_a_schema_is_the_same_once_it_was_packed() -> None:
    schema = pa.schema([("a", pa.timestamp("us", "UTC")), ("b", struct(x=pa.list_(TEXT)))])
    assert unpacked(packed(schema)) == schema
