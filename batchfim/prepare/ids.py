"""Detect the first duplicate among the ids of the input."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from batchfim.errors import InputError
from batchfim.prepare.names import as_text


class IdRegister:
    """Every id seen so far, in a temporary SQLite database that spills to disk: memory is flat."""

    def __init__(self) -> None:
        self._ids = sqlite3.connect("", isolation_level=None)
        self._ids.execute("PRAGMA journal_mode = OFF")
        self._ids.execute(
            "CREATE TABLE ids (id TEXT PRIMARY KEY, file TEXT, line INTEGER) WITHOUT ROWID"
        )
        self._ids.execute("BEGIN")  # a single transaction: a third faster than one for each id

    def close(self) -> None:
        self._ids.close()

    def add(self, id_: str, file: Path, line: int, field: str) -> None:
        """Add an id.

        Raises:
            InputError: the id was added before; the message has both lines.
        """
        name = as_text(file)  # SQLite takes only UTF-8
        values = (id_, name, line)
        added = self._ids.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", values)
        if added.rowcount == 1:
            return
        seen = self._ids.execute("SELECT file, line FROM ids WHERE id = ?", (id_,)).fetchone()
        raise InputError(
            f"{name}:{line}: field {field!r}: duplicate id {id_!r}, first used at "
            f"{seen[0]}:{seen[1]}; remove one of the two lines, or choose another id field"
        )
