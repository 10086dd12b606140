"""What a record has besides its hole: other files, its own path, repository and language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchfim.errors import InputError
from batchfim.formats.languages import usual_name


@dataclass(frozen=True, slots=True)
class ContextFile:
    """Another file of the record's repository."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A record's surroundings; context files come farthest first, nearest to the hole last.

    `lora` names the adapter it is for.
    """

    path: str = ""
    repo: str = ""
    language: str = ""
    context: tuple[ContextFile, ...] = ()
    lora: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What `{path}`, `{repo}`, `{language}` and `{language_name}` stand for."""
        return {
            "path": self.path,
            "repo": self.repo,
            "language": self.language,
            "language_name": usual_name(self.language),
        }


NOWHERE = Surroundings()


def read_context(path: Path) -> ContextFile:
    """A file on this machine as a context file.

    Raises:
        InputError: it cannot be read, or is not UTF-8 text.
    """
    try:
        return ContextFile(str(path), path.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a context file: {error}") from None
