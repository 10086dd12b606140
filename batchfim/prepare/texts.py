"""One file's source text, or the reason why the file is skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from batchfim.formats.languages import EXTENSIONS, find_language

# Records call TSX TypeScript, as most data sets do; `find_language` tells it by the path.
LANGUAGES = {
    extension: "typescript" if language == "tsx" else language
    for extension, language in EXTENSIONS.items()
}


@dataclass(frozen=True, slots=True)
class Source:
    """One file's text; `place` is unique in a run; path and language are None if unknown."""

    place: str
    text: str
    path: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sources to read.

    `languages` are in the spelling of `plain_language`, and empty for all; `max_bytes` is per
    source.
    """

    code_column: str | None
    languages: frozenset[str]
    max_bytes: int

    def takes(self, language: str | None) -> bool:
        return not self.languages or plain_language(language or "") in self.languages


def plain_language(name: str) -> str:
    """Canonical name of a language that data sets spell differently: `cpp` for `C++`."""
    return find_language(name, None) or name.strip().lower()


def language_of(path: str | PurePath) -> str | None:
    return LANGUAGES.get(PurePath(path).suffix.lower())


def decode(code: bytes, max_bytes: int) -> str | Skipped:
    """Decode a file's text unchanged, byte order mark and line ends included."""
    if not code:
        return Skipped("empty")
    if len(code) > max_bytes:
        return Skipped("over --max-bytes")
    if b"\0" in code:
        return Skipped("binary")
    try:
        return code.decode()
    except UnicodeDecodeError:
        return Skipped("not UTF-8")
