"""Write the files of a comparison's folder, each replaced atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.families.notes import FAIR, not_measured, notes_of
from benchmarks.families.page import page
from benchmarks.families.rows import Row
from benchmarks.families.settings import Comparison
from benchmarks.families.table import faults, markdown_table, terminal_table

_VERSION = 1


@dataclass(frozen=True)
class Folder:
    """Writes `comparison.json`, `.md` and `.html` beside the folders of the rows."""

    path: Path
    comparison: Comparison
    num_records: int
    room_note: str
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def json(self) -> Path:
        return self.path / "comparison.json"

    def write(self, rows: Sequence[Row]) -> None:
        """Write all three files; some rows may still be waiting."""
        self.path.mkdir(parents=True, exist_ok=True)
        contents = self.contents(rows)
        _replace(self.path / "comparison.html", page(contents, rows))
        _replace(self.path / "comparison.md", self.markdown(rows))
        _replace(self.json, json.dumps(contents, indent=1, ensure_ascii=False) + "\n")

    def contents(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The content of `comparison.json`.

        Returns:
            `version`; `metric`, the quality in table and plots; `records`, the number of input
            records; `job`, the shared settings, and `quality`; `notes` and `not_measured`, texts;
            `machine`, `versions`; `rows`, described by `rows.Row`.
        """
        return {
            "version": _VERSION,
            "metric": self.comparison.quality.metric,
            "records": self.num_records,
            "job": self.comparison.job,
            "quality": self.comparison.quality.model_dump(mode="json"),
            "notes": self.notes(rows),
            "not_measured": not_measured(rows, self.num_records),
            "machine": self.machine,
            "versions": self.versions,
            "rows": [row.plain() for row in rows],
        }

    def notes(self, rows: Sequence[Row]) -> list[str]:
        """Notes on how to read the table."""
        return [*FAIR, self.room_note, *notes_of(rows)]

    def text(self, rows: Sequence[Row]) -> str:
        """The comparison as text for a terminal."""
        lines = [f"note: {note}" for note in self.notes(rows)]
        lines += [f"not measured: {left}" for left in not_measured(rows, self.num_records)]
        table = terminal_table(rows, self.comparison.quality.metric)
        return "\n".join([table, "", *faults(rows), *lines, str(self.path / "comparison.html")])

    def markdown(self, rows: Sequence[Row]) -> str:
        """The comparison in Markdown, for a README or a ticket."""
        lines = [*faults(rows), *self.notes(rows)]
        lines += [f"not measured: {left}" for left in not_measured(rows, self.num_records)]
        table = markdown_table(rows, self.comparison.quality.metric)
        return "\n".join([table, "", *(f"- {line}" for line in lines), ""])


def _replace(place: Path, text: str) -> None:
    aside = place.with_name(f".{place.name}.new")
    aside.write_text(text, encoding="utf8")
    os.replace(aside, place)
