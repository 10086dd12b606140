"""A record's surroundings: other files, and its own path, repository and language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchfim.errors import InputError


@dataclass(frozen=True, slots=True)
class ContextFile:
    """Another file of the record's repository."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A record's surroundings; the context file nearest to the hole comes last.

    `lora` is the name of the record's adapter.
    """

    path: str = ""
    repo: str = ""
    language: str = ""
    context: tuple[ContextFile, ...] = ()
    lora: str = ""


NOWHERE = Surroundings()


def read_context(path: Path) -> ContextFile:
    """Read a local file as a context file.

    Raises:
        InputError: the file cannot be read, or is not UTF-8 text.
    """
    try:
        return ContextFile(str(path), path.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a context file: {error}") from None
