"""Read source text from a folder of source files or from Parquet with a code column."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from batchfim.errors import ConfigError, InputError
from batchfim.prepare.parquet_sources import read_parquet
from batchfim.prepare.texts import LANGUAGES, Choice, Skipped, Source, decode, language_of


def read_sources(root: Path, choice: Choice) -> Iterator[Source | Skipped]:
    """Yield every source under `root`, sorted by name, one in memory at a time.

    A folder with source files is read as such, even if it also has Parquet files, unless a code
    column is given. Links and hidden folders in it are not followed.

    Raises:
        InputError: there is nothing to read, or a Parquet file cannot be read.
    """
    if root.is_file():
        return read_parquet(root, root.name, choice)
    if not root.is_dir():
        raise InputError(
            f"{root}: no such file or folder; check the path, or give a folder of source files or "
            "Parquet"
        )
    if choice.code_column is None and any(_is_source(found) for found in _walk(root)):
        _check_languages(choice)
        return (_read_file(found, root, choice) for found in _walk(root))
    files = [found for found in _walk(root) if isinstance(found, Path) and _is_data(found, root)]
    if not files:
        raise InputError(
            f"{root}: no source files in this folder; give a folder with files ending in "
            f"{' '.join(LANGUAGES)}, or with Parquet files that have a code column"
        )
    return _read_parquet_files(files, root, choice)


def _read_parquet_files(
    files: list[Path], root: Path, choice: Choice
) -> Iterator[Source | Skipped]:
    for file in files:
        yield from read_parquet(file, file.relative_to(root).as_posix(), choice)


def _walk(folder: Path) -> Iterator[Path | Skipped]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield Skipped("unreadable folder")
        return
    for entry in entries:
        if entry.is_symlink():
            yield Skipped("link")
        elif entry.is_file():
            yield Path(entry.path)
        elif not entry.is_dir():
            # Opening a pipe or a socket would block forever.
            yield Skipped("not a regular file")
        elif entry.name.startswith("."):
            yield Skipped("hidden folder")
        else:
            yield from _walk(Path(entry.path))


def _is_source(found: Path | Skipped) -> bool:
    return isinstance(found, Path) and language_of(found) is not None


def _is_data(file: Path, root: Path) -> bool:
    # Parquet readers skip names that start with `_`; jobs keep their own files there.
    own = any(part.startswith("_") for part in file.relative_to(root).parts)
    return file.suffix.lower() == ".parquet" and not own


def _check_languages(choice: Choice) -> None:
    known = set(LANGUAGES.values())
    unknown = sorted(choice.languages - known)
    if unknown:
        raise ConfigError(
            f"--language: unknown language {unknown[0]!r}; give one or more of "
            f"{', '.join(sorted(known))}"
        )


def _read_file(found: Path | Skipped, root: Path, choice: Choice) -> Source | Skipped:
    if isinstance(found, Skipped):
        return found
    language = language_of(found)
    if language is None:
        return Skipped("Parquet, no --code-column" if _is_data(found, root) else "not source code")
    if not choice.takes(language):
        return Skipped("other language")
    path = found.relative_to(root).as_posix()
    if not _is_utf8(path):
        return Skipped("file name not UTF-8")
    try:
        with found.open("rb") as file:
            code = file.read(choice.max_bytes + 1)
    except OSError:
        return Skipped("unreadable file")
    text = decode(code, choice.max_bytes)
    return text if isinstance(text, Skipped) else Source(path, text, path, language)


def _is_utf8(name: str) -> bool:
    # A file name's undecodable bytes arrive as surrogates.
    return not any("\ud800" <= char <= "\udfff" for char in name)
