"""Prepare an output row for the report's page; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchfim.quality.scores import is_exact
from batchfim.records import REFERENCE
from batchfim.report.texts import Change, changes, head, tail

_TITLES = ("path", "id")
_FACTS = (
    "finish_reason",
    "stop_rule",
    "trim_rule",
    "degenerate",
    "order",
    "adapter",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "kept_tokens",
    "ttft_s",
    "latency_s",
    "worker",
)
_BEFORE, _AFTER, _MIDDLE = (1200, 16), (600, 8), (4000, 100)  # characters, lines


@dataclass(frozen=True)
class TextColumns:
    """The input columns that hold a record's texts."""

    prefix: str
    suffix: str

    @property
    def wanted(self) -> tuple[str, ...]:
        """All input columns that the page may show."""
        return (self.prefix, self.suffix, REFERENCE, *_TITLES, "language", "kind")


@dataclass(frozen=True)
class Shown:
    """A record for the page.

    `verdict` is `exact` (as in an evaluation) or `differs` if there is a reference, else the
    status. `before` and `after` are the texts around the hole, None if the output lacks them.
    """

    title: str
    place: str
    status: str
    verdict: str
    latency_s: float | None
    facts: Sequence[tuple[str, str]]
    before: str | None
    middle: str | None
    after: str | None
    changes: Sequence[Change]
    dropped: str
    error: str | None


def shown(row: Mapping[str, Any], columns: TextColumns) -> Shown:
    """Prepare a row of `picking.Picked` for the page, its texts cut to a readable length."""
    middle, reference = row["middle"], row.get(REFERENCE)
    compared = isinstance(middle, str) and isinstance(reference, str)
    verdict = _verdict(row, compared)
    raw = row["raw_middle"] or ""
    dropped = raw[len(middle) :] if middle is not None and raw.startswith(middle) else ""
    return Shown(
        title=next((str(row[name]) for name in _TITLES if row.get(name)), row["part"]),
        place=f"{row['part']}, row {row['part_row']}",
        status=row["status"],
        verdict=verdict,
        latency_s=row["latency_s"],
        facts=[(name, _fact(row[name])) for name in _FACTS if row[name] is not None],
        before=_text(row, columns.prefix, lambda text: tail(text, *_BEFORE)),
        middle=None if middle is None else head(middle, *_MIDDLE),
        after=_text(row, columns.suffix, lambda text: head(text, *_AFTER)),
        changes=changes(str(reference), str(middle)) if verdict == "differs" else (),
        dropped=head(dropped, *_AFTER),
        error=row["error"],
    )


def _verdict(row: Mapping[str, Any], compared: bool) -> str:
    if not compared:
        return str(row["status"])
    return "exact" if is_exact(row["middle"], row[REFERENCE]) else "differs"


def _text(row: Mapping[str, Any], column: str, cut: Any) -> str | None:
    value = row.get(column)
    return cut(value) if isinstance(value, str) else None


def _fact(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
