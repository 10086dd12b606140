"""Data types and Arrow schemas of records and output rows."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from batchfim.errors import InputError
from batchfim.surroundings import NOWHERE, ContextFile, Surroundings

_PLACE = re.compile(r"^.*?, row \d+: ", re.DOTALL)


class Status(StrEnum):
    """Outcome of a record."""

    OK = "ok"
    REJECTED = "rejected"  # can never work: the reason is in `error`
    FAILED = "failed"  # may work later


REFERENCE = "middle_reference"  # column with the hole's original text, if known
# Columns of the file around the hole, if `prefix` and `suffix` hold more, such as instructions.
FILE_SIDES = ("file_prefix", "file_suffix")
OUTPUT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("middle", pa.string()),
    pa.field("raw_middle", pa.string()),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string()),
    pa.field("finish_reason", pa.string()),
    pa.field("stop_rule", pa.string()),
    pa.field("trim_rule", pa.string()),
    pa.field("degenerate", pa.string()),
    pa.field("sample", pa.int32(), nullable=False),
    pa.field("family", pa.string(), nullable=False),
    pa.field("order", pa.string(), nullable=False),
    pa.field("adapter", pa.string()),
    pa.field("copied", pa.bool_(), nullable=False),
    pa.field("prompt_tokens", pa.int32(), nullable=False),
    pa.field("cached_tokens", pa.int32(), nullable=False),
    pa.field("completion_tokens", pa.int32(), nullable=False),
    pa.field("kept_tokens", pa.int32(), nullable=False),
    pa.field("num_preemptions", pa.int32(), nullable=False),
    pa.field("truncated_prefix_tokens", pa.int32(), nullable=False),
    pa.field("truncated_suffix_tokens", pa.int32(), nullable=False),
    pa.field("truncated_context_tokens", pa.int32(), nullable=False),
    pa.field("logprob_sum", pa.float64()),
    pa.field("logprob_mean", pa.float64()),
    pa.field("logprobs", pa.list_(pa.float32())),
    pa.field("normalized", pa.bool_(), nullable=False),
    pa.field("queue_s", pa.float64()),
    pa.field("ttft_s", pa.float64()),
    pa.field("tpot_s", pa.float64()),
    pa.field("latency_s", pa.float64()),
    pa.field("worker", pa.string(), nullable=False),
    pa.field("attempt", pa.int32(), nullable=False),
)
OUTPUT_COLUMNS = tuple(field.name for field in OUTPUT_FIELDS)


@dataclass(slots=True)
class Completion:
    """Columns added to one output row; the defaults are those of a row without a generation.

    `order`: layout of the prompt; in a row without a prompt, the job's own. `adapter`: the LoRA
    adapter; null means the model without one.

    `copied`: the middle is that of a row with the same prompt, and the engine computed nothing for
    this one. The whole prompt counts as cached, the middle's tokens count as the row's own, and
    the durations are null.

    Token counts are per sample. `prompt_tokens - cached_tokens` is what the engine computed,
    counted once even if it preempted the sample and computed it again (`num_preemptions` times).
    `kept_tokens` is how many of the generated `completion_tokens` the middle needs after stop and
    trim. For `stop_rule`, `trim_rule` and `degenerate`, see `formats.finishing.Middle`.
    `logprob_sum`, `logprob_mean` and `logprobs` cover the kept tokens, and are null unless the job
    asks for them: all jobs have one schema, so that their parts can be read as one table.
    Durations are seconds on one monotonic clock, from when the worker hands the prompt to the
    engine to its first step (`queue_s`), its first token (`ttft_s`) and its last (`latency_s`);
    `tpot_s` is the mean time per token after the first, null for one-token middles.
    """

    status: Status
    sample: int = 0
    middle: str | None = None
    raw_middle: str | None = None
    error: str | None = None
    reason: str | None = None  # the error without file and row, to count equal ones together
    finish_reason: str | None = None
    stop_rule: str | None = None
    trim_rule: str | None = None
    degenerate: str | None = None
    order: str = ""
    adapter: str | None = None
    copied: bool = False
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    kept_tokens: int = 0
    num_preemptions: int = 0
    truncated_prefix_tokens: int = 0
    truncated_suffix_tokens: int = 0
    truncated_context_tokens: int = 0
    logprob_sum: float | None = None
    logprob_mean: float | None = None
    logprobs: list[float] | None = None
    normalized: bool = False
    queue_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    latency_s: float | None = None


def place_text(source: str, row: int) -> str:
    """What the error of a row of a file begins with."""
    return f"{source}, row {row}: "


def without_place(error: str) -> str:
    """An error without its `place_text`: the same for each row it is true of."""
    return _PLACE.sub("", error)


@dataclass(frozen=True, slots=True)
class Hole:
    """A record's prefix and suffix, and its surroundings."""

    prefix: str
    suffix: str
    around: Surroundings = NOWHERE


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a row cannot be a record."""

    reason: str


@dataclass(frozen=True, slots=True)
class LanguageColumns:
    """Input columns that give a record's language, by name or by a path's extension."""

    language: str | None = None
    path: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns that exist."""
        return [name for name in (self.language, self.path) if name is not None]


NO_LANGUAGE = LanguageColumns()


def read_optional(table: pa.Table, name: str | None) -> list[str | None]:
    """Each row's text in a column that may be absent; None for rows without text."""
    if name is None:
        return [None] * int(table.num_rows)
    return [None if isinstance(text, Fault) else text for text in _texts(table[name], name)]


def read_holes(
    table: pa.Table,
    prefix: str,
    suffix: str,
    others: Mapping[str, str] | None = None,
    loras: Collection[str] = (),
) -> list[Hole | Fault]:
    """Each row's hole, or the reason why the row has none.

    Args:
        table: the rows.
        prefix: name of the prefix column.
        suffix: name of the suffix column.
        others: names of further columns by what they hold (`path`, `repo`, `language`, `context`,
            `lora`); their nulls are read as empty.
        loras: names of LoRA adapters that a row may have.
    """
    columns = _texts(table[prefix], prefix), _texts(table[suffix], suffix)
    around = _surroundings(table, others or {}, loras)
    return [_hole(*parts) for parts in zip(*columns, around, strict=True)]


def read_hole(prefixes: pa.ChunkedArray, suffixes: pa.ChunkedArray, row: int) -> Hole:
    """The hole of one row that is known to have one; far faster than `read_holes`."""
    return Hole(_decoded(prefixes[row].as_py()), _decoded(suffixes[row].as_py()))


def _decoded(value: str | bytes) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else value


def _hole(prefix: str | Fault, suffix: str | Fault, around: Surroundings | Fault) -> Hole | Fault:
    if isinstance(prefix, Fault):
        return prefix
    if isinstance(suffix, Fault):
        return suffix
    return around if isinstance(around, Fault) else Hole(prefix, suffix, around)


def _texts(column: pa.ChunkedArray, name: str) -> list[str | Fault]:
    """Decode value by value, because a row that is not UTF-8 must not stop its neighbors."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return [_text(value, name) for value in column.cast(pa.large_binary()).to_pylist()]


def _text(value: bytes | None, name: str) -> str | Fault:
    if value is None:
        return Fault(f"column {name!r} is null, expected text")
    try:
        return value.decode("utf8")
    except UnicodeDecodeError as error:
        return Fault(f"column {name!r} is not UTF-8 text: {error.reason} at byte {error.start}")


def plain_type(data_type: pa.DataType) -> pa.DataType:
    """The type with views replaced, which Arrow does not support in every `take` and `cast`."""
    if pa.types.is_list(data_type):
        return pa.list_(data_type.value_field.with_type(plain_type(data_type.value_type)))
    if pa.types.is_struct(data_type):
        return pa.struct([field.with_type(plain_type(field.type)) for field in data_type])
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return plain.get(data_type, data_type)


def _surroundings(
    table: pa.Table, columns: Mapping[str, str], loras: Collection[str]
) -> Sequence[Surroundings | Fault]:
    if not columns:
        return [NOWHERE] * table.num_rows
    return [_place(table, columns, loras, row) for row in range(table.num_rows)]


def _place(
    table: pa.Table, columns: Mapping[str, str], loras: Collection[str], row: int
) -> Surroundings | Fault:
    found: dict[str, Any] = {}
    for field, name in columns.items():
        try:
            value = table[name][row].as_py()
            found[field] = _files(value) if field == "context" else _plain(value)
        except UnicodeDecodeError as error:
            return Fault(f"column {name!r} is not UTF-8 text: {error.reason}")
    if (lora := found.get("lora")) and lora not in loras:
        return Fault(f"LoRA adapter {lora!r} is not in model.loras")
    return Surroundings(**found)


def _files(value: list[Mapping[str, Any] | None] | None) -> tuple[ContextFile, ...]:
    files = [file for file in value or () if file is not None]
    return tuple(ContextFile(_plain(file["path"]), _plain(file["text"])) for file in files)


def _plain(value: str | bytes | None) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else value or ""


CONTEXT_TYPE = pa.list_(pa.struct([("path", pa.string()), ("text", pa.string())]))


def is_context(data_type: pa.DataType) -> bool:
    """Whether a column of this type can hold context files: a list of {path, text}."""
    lists = (pa.types.is_list, pa.types.is_large_list)
    if not any(test(data_type) for test in lists) or not pa.types.is_struct(data_type.value_type):
        return False
    fields = {field.name: field.type for field in data_type.value_type}
    return all(name in fields and is_text(fields[name]) for name in ("path", "text"))


def is_text(data_type: pa.DataType) -> bool:
    """Whether a column of this type can hold a prefix or a suffix."""
    if pa.types.is_dictionary(data_type):
        return is_text(data_type.value_type)
    return any(
        test(data_type)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
        )
    )


def output_schema(kept: pa.Schema, source: str, *, has_flags: bool = True) -> pa.Schema:
    """The kept input columns followed by `OUTPUT_FIELDS`.

    Args:
        kept: the input columns.
        source: where they are from, for the error.
        has_flags: whether the caller's settings can come from a command line.

    Raises:
        InputError: an input column has the name of an added one.
    """
    clashes = [name for name in kept.names if name in OUTPUT_COLUMNS]
    if clashes:
        names = [name for name in kept.names if name not in OUTPUT_COLUMNS]
        others = json.dumps(names, ensure_ascii=False)  # JSON is YAML, whatever a name holds
        setting = f"--set {shlex.quote(f'input.keep={others}')}"
        raise InputError(
            f"{source}: column {', '.join(map(repr, clashes))} would be overwritten by the "
            "output's own; rename it, or choose the columns to keep: "
            f"{setting if has_flags else f'input.keep: {others}'}"
        )
    return pa.schema([*kept, *OUTPUT_FIELDS])
