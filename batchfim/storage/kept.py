"""The input columns kept in the output: one schema for all files and runs of a job. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import pyarrow as pa

_USUAL = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}
_LADDERS = (
    (pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    (pa.float32(), pa.float64()),
)
# Columns with a row's place in the input, if the job adds them.
SOURCE = pa.schema([("source_file", pa.string()), ("source_row", pa.int64())])


def with_source(rows: pa.Table, path: str, numbers: Sequence[int]) -> pa.Table:
    """Some rows of a file, with the columns of `SOURCE`.

    Args:
        rows: the rows.
        path: path of their file.
        numbers: number of each row in the file.
    """
    columns = (pa.array([path] * rows.num_rows, pa.string()), pa.array(numbers, pa.int64()))
    for field, column in zip(SOURCE, columns, strict=True):
        rows = rows.append_column(field, column)
    return rows


def kept_type(data_type: pa.DataType) -> pa.DataType:
    """The type that values of a type have in the output.

    Files with the same values may differ in how their writers saw them: as large text, views or
    dictionaries, and as never null.
    """
    return _rebuilt(data_type, lambda leaf: _USUAL.get(leaf, leaf))


def without_nulls(schema: pa.Schema) -> pa.Schema:
    """The schema with text for columns of which no file has a value, as any type would do.

    Tables often have a text column that is null throughout, and a later file may have values.
    """

    def text(leaf: pa.DataType) -> pa.DataType:
        return pa.string() if pa.types.is_null(leaf) else leaf

    return pa.schema([field.with_type(_rebuilt(field.type, text)) for field in schema])


def _rebuilt(data_type: pa.DataType, leaf: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """The type with every innermost type replaced, without dictionaries and "not null"."""
    types = pa.types
    if types.is_dictionary(data_type):
        return _rebuilt(data_type.value_type, leaf)
    if types.is_list(data_type) or types.is_large_list(data_type):
        return pa.list_(_rebuilt(data_type.value_type, leaf))
    if types.is_fixed_size_list(data_type):
        return pa.list_(_rebuilt(data_type.value_type, leaf), data_type.list_size)
    if types.is_map(data_type):
        return pa.map_(_rebuilt(data_type.key_type, leaf), _rebuilt(data_type.item_type, leaf))
    if types.is_struct(data_type):
        return pa.struct([(field.name, _rebuilt(field.type, leaf)) for field in data_type])
    return leaf(data_type)


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The one of two kept types that also holds all values of the other; None if there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_list(one) and pa.types.is_list(other):
        values = wider(one.value_type, other.value_type)
        return None if values is None else pa.list_(values)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = unified(pa.schema(list(one)), pa.schema(list(other)))
        return None if fields is None else pa.struct(list(fields))
    for ladder in _LADDERS:
        if one in ladder and other in ladder:
            return max(one, other, key=ladder.index)
    return None


def unified(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """A schema for the rows of both, in the first one's order; None if there is none."""
    if one.equals(other):
        return one
    if differences(one, other):
        return None
    types = [wider(field.type, other.field(field.name).type) for field in one]
    return pa.schema(list(zip(one.names, types, strict=True)))


def differences(one: pa.Schema, other: pa.Schema) -> list[str]:
    """The columns, as `name: type`, that keep two schemas from being unified."""
    apart = [
        name
        for name in {*one.names, *other.names}
        if one.names.count(name) != 1
        or other.names.count(name) != 1
        or wider(one.field(name).type, other.field(name).type) is None
    ]
    fields = [field for schema in (one, other) for field in schema if field.name in apart]
    return sorted({f"{field.name}: {field.type}" for field in fields})


def as_before(kept: pa.Schema, before: pa.Schema) -> pa.Schema:
    """The columns in the order and the types of an earlier run's, if those hold their values.

    A part must not differ from those that are already there.
    """
    names = [name for name in before.names if name in kept.names]
    names += [name for name in kept.names if name not in names]
    fields = []
    for name in names:
        now = kept.field(name)
        earlier = before.field(name).type if name in before.names else None
        fits = earlier is not None and wider(earlier, now.type) == earlier
        fields.append(now.with_type(earlier) if fits else now)
    return pa.schema(fields)


def as_kept(rows: pa.Table, kept: pa.Schema) -> pa.Table:
    """The kept columns of some rows, whatever their file's own order and types."""
    rows = rows.select(kept.names)
    if rows.schema.equals(kept):
        return rows
    # Values that are not UTF-8 stay so.
    return rows.cast(kept, safe=False).replace_schema_metadata(rows.schema.metadata)


def packed(schema: pa.Schema) -> str:
    """A schema as text that fits into JSON."""
    return base64.b64encode(schema.serialize()).decode()


def unpacked(text: str) -> pa.Schema:
    """The schema in a text made by `packed`.

    Raises:
        ValueError, TypeError, OSError: the text is not from `packed`.
    """
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
