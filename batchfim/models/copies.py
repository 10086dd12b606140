"""Copy a model from a URL to this machine, once for all its workers."""

from __future__ import annotations

import fnmatch
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock
from pyarrow import fs

from batchfim.errors import ModelError, StorageBusy, StorageError
from batchfim.shards import short_digest
from batchfim.storage.failures import translate
from batchfim.storage.location import Location
from batchfim.storage.stores import split_query

_COPIERS = 8
_BLOCK_BYTES = 16 << 20


def copy_model(
    url: str, patterns: list[str] | None, revision: str | None
) -> tuple[Path, str | None]:
    """Copy the model here if needed, and return its local folder and its version.

    The version is a hash of the listing of its files: names, sizes and times. The folder is copied
    under a temporary name and renamed, under a lock, so that it is either complete or missing,
    however many workers of this machine ask for it at once.

    Args:
        url: folder of the model.
        patterns: names of the files that are needed; None: all of them.
        revision: the required version; None: any.

    Returns:
        the folder, and the version (None for `file://`, which is not copied).

    Raises:
        ModelError: the folder does not exist, or is now another version.
        StorageError: the model could not be copied.
    """
    base = split_query(url)[0].rstrip("/")
    try:
        source = Location.of(url)
        if source.is_local:
            return Path(source.path), None
        files = _files(source, base)
    except StorageBusy:
        raise
    except StorageError as error:
        raise ModelError(f"the model cannot be read: {error}") from None
    version = short_digest(*((_below(source, file), file.size, file.mtime) for file in files))
    if revision is not None and revision != version:
        raise ModelError(
            f"model {base}: not the requested version {revision}; its files have changed since"
        )
    key = short_digest(base, version)
    whole, needed = _cache() / key, _cache() / (key if patterns is None else f"{key}-prompt")
    if whole.is_dir():
        return whole, version
    wanted = [
        file
        for file in files
        if patterns is None or any(fnmatch.fnmatch(_below(source, file), p) for p in patterns)
    ]
    _copy_once(source, wanted, needed)
    return needed, version


def _files(source: Location, name: str) -> list[fs.FileInfo]:
    files = [info for info in source.list(recursive=True) if info.is_file]
    if not files:
        raise ModelError(f"model {name}: no such {source.missing()}, or it is empty")
    return files


def _below(source: Location, info: fs.FileInfo) -> str:
    return str(info.path).removeprefix(source.path).lstrip("/")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "batchfim" / "models"


def _copy_once(source: Location, files: list[fs.FileInfo], folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if folder.is_dir():
                return
            shutil.rmtree(aside, ignore_errors=True)  # left by a killed process
            with ThreadPoolExecutor(_COPIERS) as copiers:
                list(copiers.map(lambda file: _copy(source, file, aside), files))
            aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise translate(str(folder), error) from error


def _copy(source: Location, info: fs.FileInfo, aside: Path) -> None:
    target = aside / _below(source, info)
    if not target.resolve().is_relative_to(aside.resolve()):
        raise ModelError(f"{info.path}: the name points outside the model's folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with Location(source.filesystem, info.path).open() as file, target.open("wb") as copy:
        while block := file.read(_BLOCK_BYTES):
            copy.write(block)
        os.fsync(copy.fileno())
