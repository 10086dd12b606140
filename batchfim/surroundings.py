"""What a record has besides its hole: other files, its own path, repository and language."""

from __future__ import annotations

from dataclasses import dataclass


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
        """What `{path}`, `{repo}`, `{language}` stand for."""
        return {"path": self.path, "repo": self.repo, "language": self.language}


NOWHERE = Surroundings()
