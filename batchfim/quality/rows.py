"""Read and score the rows of a part; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from batchfim.formats.borders import Borders
from batchfim.formats.languages import find_language
from batchfim.formats.syntax import num_errors
from batchfim.quality.scores import LABELS, length_bucket, score_stop, score_text
from batchfim.records import Hole, read_optional

CHUNK_ROWS = 64
_TEXTS = (
    *("middle", "reference", "prefix", "suffix", "language", "path", "kind"),
    *("test", "entry_point"),
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Columns of the output by their role; None if there is none."""

    middle: str
    reference: str | None
    prefix: str | None
    suffix: str | None
    language: str | None
    path: str | None
    kind: str | None
    test: str | None
    entry_point: str | None
    id: str | None

    @property
    def names(self) -> list[str]:
        """All columns to read, without duplicates."""
        own = ["status", "sample", "family", "stop_rule", "degenerate"]
        held = (getattr(self, name) for name in self.__slots__)
        return list(dict.fromkeys([*own, *(name for name in held if name is not None)]))


@dataclass(frozen=True, slots=True)
class Row:
    """One output row that is `ok`."""

    place: int  # in its part
    record: int  # number from 0 in its chunk
    sample: int
    id: str | None
    middle: str
    reference: str | None
    prefix: str | None
    suffix: str | None
    language: str | None
    kind: str | None
    test: str | None
    entry_point: str | None
    cluster: str | None  # its function or file, whose holes are not independent; None if unknown
    family: str
    stop_rule: str | None
    degenerate: str | None


Rule = Callable[[str, Row], str]


@dataclass(slots=True)
class Scored:
    """A row and its scores; a metric that was not measured is absent."""

    row: Row
    in_file: str  # the row's middle after the rule, as it is put into the file
    scores: dict[str, float]
    reference_cut: bool = False  # the rule would truncate the reference itself
    execution: str | None = None  # how its test ended, such as `passed`; None if not run

    @property
    def length(self) -> str | None:
        """Length bucket of its reference."""
        return None if self.row.reference is None else length_bucket(self.row.reference)

    def cluster(self, part: str) -> str:
        """Key of the rows that are drawn together: its function or file, else its record."""
        return self.row.cluster or f"{part} {self.row.place - self.row.sample}"


def chunks(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Split a part into chunks of dozens of rows, each with its first row; records stay whole."""
    starts = np.flatnonzero(table["sample"].to_numpy() == 0)
    begin = 0
    while begin < table.num_rows:
        later = starts[starts >= begin + CHUNK_ROWS]
        end = int(later[0]) if later.size else table.num_rows
        yield begin, table.slice(begin, end - begin)
        begin = end


def read_rows(table: pa.Table, first: int, sources: Sources) -> list[Row]:
    """The `ok` rows with a middle, from a chunk that begins at row `first` of its part."""
    columns = {name: read_optional(table, getattr(sources, name)) for name in _TEXTS}
    own = {
        name: table[name].to_pylist() for name in ("sample", "family", "stop_rule", "degenerate")
    }
    ids = plain_values(table[sources.id]) if sources.id else [None] * table.num_rows
    ok = [status == "ok" for status in table["status"].to_pylist()]
    record = -1
    rows = []
    for place in range(table.num_rows):
        record += own["sample"][place] == 0
        values = {name: column[place] for name, column in columns.items()}
        if ok[place] and values["middle"] is not None:
            own_values = {name: column[place] for name, column in own.items()}
            rows.append(_row(first + place, record, ids[place], values, own_values))
    return rows


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """Each row's value; bytes, and text that is not UTF-8, become text with replacements."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return [
        value.decode("utf8", "replace") if isinstance(value, bytes) else value
        for value in column.to_pylist()
    ]


def score(row: Row, rule: Rule) -> Scored:
    """Compute all scores that depend only on the row."""
    middle = rule(row.middle, row)
    in_file = _in_file(row, middle)
    scores = score_stop(row.stop_rule, row.degenerate)
    if row.reference is not None:
        scores |= score_text(middle, row.reference)
    valid = _valid_syntax(row, in_file)
    if valid is not None:
        scores["valid_syntax"] = valid
    return Scored(row, in_file, scores, _is_cut(row, rule))


def _in_file(row: Row, middle: str) -> str:
    """The middle after a rule, as it is put into the file.

    If the hole takes whole lines, the last line gets back the newline that the rule cut off.
    """
    last = middle.rpartition("\n")[2]
    # Not its last occurrence: a model that repeats itself may end in the same line, unfinished.
    kept = middle if middle in row.middle else last
    if not last or "\n" not in row.middle[row.middle.find(kept) + len(kept) :]:
        return middle
    hole = Hole(row.prefix or "", row.suffix or "")
    return middle + "\n" if Borders.of(hole).whole_lines else middle


def _is_cut(row: Row, rule: Rule) -> bool:
    """Whether the rule would truncate the reference itself, which no middle can equal then."""
    if row.reference is None:
        return False
    return rule(row.reference, row).strip() != row.reference.strip()


def groups_of(scored: Sequence[Scored]) -> dict[str, list[str | None]]:
    """Group of each row, by dimension."""
    return {
        "family": [one.row.family for one in scored],
        "language": [one.row.language for one in scored],
        "kind": [one.row.kind for one in scored],
        "length": [one.length for one in scored],
    }


def metric_names(passes: tuple[int, ...]) -> list[str]:
    """All possible metrics, in table order."""
    return [*LABELS, *(f"pass@{k}" for k in passes)]


def _row(place: int, record: int, id_: object, values: dict[str, Any], own: dict[str, Any]) -> Row:
    language, path = values.pop("language"), values.pop("path")
    return Row(
        place=place,
        record=record,
        id=None if id_ is None else str(id_),
        language=find_language(language, path) or (language or None),
        cluster=values["entry_point"] or path,
        **values,
        **own,
    )


# The samples of a record share a reference and come one after another, in each of a few threads.
_num_errors = lru_cache(maxsize=64)(num_errors)


def _valid_syntax(row: Row, middle: str) -> float | None:
    """1 if the file has no syntax error, else 0; None if its reference has one, or if unknown."""
    language = find_language(row.language, None)
    if language is None or row.prefix is None or row.suffix is None:
        return None
    reference = row.reference
    if reference is not None and _num_errors(reference, row.prefix, row.suffix, language) != 0:
        return None
    errors = num_errors(middle, row.prefix, row.suffix, language)
    return None if errors is None else float(errors == 0)
