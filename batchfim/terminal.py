"""Terminal output: untrusted text without control characters, tables and progress."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

T = TypeVar("T")

# Control, format (bidirectional overrides among them), surrogate, line and paragraph separator.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text as one line, with characters that control a terminal escaped (`\\x1b`)."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


def plain_table(*headings: str) -> Table:
    """An empty table whose columns are aligned with spaces only."""
    return Table(*headings, box=None, pad_edge=False)


def table_text(table: Table, width: int) -> str:
    """A table as plain text; cells are not interpreted as markup."""
    console = Console(width=width, color_system=None, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def counted(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show their count if standard error is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        yield from bar.track(items, total)


def busy(label: str) -> AbstractContextManager[object]:
    """Show a status line during a block if standard error is a terminal."""
    console = Console(stderr=True)
    return console.status(label) if console.is_terminal else nullcontext()


class PrintableFormatter(logging.Formatter):
    """Format each log record as one line of printable text; tracebacks are left as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(super().formatMessage(record))


def log_printable() -> None:
    """Log warnings of this process to standard error, as printable text."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])
