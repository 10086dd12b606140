"""Ids given by the input must be unique; this finds the first that is not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from batchfim.errors import InputError


class IdRegister:
    """Every id seen so far. SQLite's private temporary database spills to disk: memory is flat."""

    def __init__(self) -> None:
        self._ids = sqlite3.connect("", isolation_level=None)
        self._ids.execute("PRAGMA journal_mode = OFF")
        self._ids.execute(
            "CREATE TABLE ids (id TEXT PRIMARY KEY, file TEXT, line INTEGER) WITHOUT ROWID"
        )
        self._ids.execute("BEGIN")  # one transaction: a third faster than one for each id

    def close(self) -> None:
        self._ids.close()

    def add(self, id_: str, file: Path, line: int, field: str) -> None:
        """Raises InputError, naming both lines, if the id was added before."""
        values = (id_, str(file), line)
        added = self._ids.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", values)
        if added.rowcount == 1:
            return
        seen = self._ids.execute("SELECT file, line FROM ids WHERE id = ?", (id_,)).fetchone()
        raise InputError(
            f"{file}:{line}: field {field!r}: {id_!r} was used before, at {seen[0]}:{seen[1]}; "
            "expected a new id on every line: remove one of them, or name another id field"
        )
