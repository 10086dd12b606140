"""Text of others on its way to a person: a name or a record may hold what steers a terminal."""

from __future__ import annotations

import logging
import unicodedata

# Control, format (bidirectional overrides among them), surrogate, line and paragraph separator.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text in one line, with what a terminal would obey written as its escape (`\\x1b`)."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


class PrintableFormatter(logging.Formatter):
    """One line of printable text for each record of the log, tracebacks left as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(super().formatMessage(record))


def log_printable() -> None:
    """Send this process's log to standard error, as printable text."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])
