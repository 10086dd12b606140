"""A location on a file system, by path or URL, with the few operations the ledger needs.

Each operation is retried on transient storage errors, and is safe to repeat: it may have succeeded
although its answer was lost.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from batchfim.errors import StorageError
from batchfim.storage.failures import is_missing
from batchfim.storage.retries import retried
from batchfim.storage.steady_file import SteadyFile
from batchfim.storage.stores import name_of, open_store

T = TypeVar("T")

# Stores where a file appears as a whole once it is closed, and folders are only name prefixes.
_OBJECT_STORES = frozenset({"s3", "gcs"})
_DELETING = 16
_DELETED_AT_ONCE = 4096  # limits the tasks held in memory when a million files are deleted


@dataclass(frozen=True)
class Location:
    """A file or folder; `path` is in the form its file system expects."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def of(cls, url: str) -> Location:
        """The location of a local path or URL (`s3://`, `gs://`, `abfss://`, and fsspec's schemes).

        Raises:
            ConfigError: no file system supports the URL's scheme.
            StorageError: the bucket does not exist.
        """
        return cls(*open_store(url))

    def __truediv__(self, name: str) -> Location:
        return Location(self.filesystem, f"{self.path.rstrip('/')}/{name}")

    @property
    def url(self) -> str:
        """Its name in errors: the path, or the URL without its query."""
        return name_of(self.filesystem, self.path)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def is_object(self) -> bool:
        """Whether it is in an object store."""
        return self.filesystem.type_name in _OBJECT_STORES

    def retried(self, action: Callable[[], T]) -> T:
        """Run an action, retrying while the storage fails; it must be safe to repeat.

        Raises:
            StorageBusy, StorageError: see `retries.retried`.
        """
        return retried(action, self.url, str(self.filesystem.type_name))

    def info(self) -> fs.FileInfo:
        """Type, size and modification time."""
        return self.retried(lambda: self.filesystem.get_file_info(self.path))

    def exists(self) -> bool:
        return self.info().type is not fs.FileType.NotFound

    def missing(self) -> str:
        """What is missing when this was not found: the bucket, or only the file or folder."""
        bucket = Location(self.filesystem, self.path.partition("/")[0])
        has_bucket = not self.is_object or bucket.exists()
        return "file or folder" if has_bucket else f"bucket: {bucket.path}"

    def list(self, *, recursive: bool = False) -> list[fs.FileInfo]:
        """Files and folders below, sorted by path; empty if the folder does not exist."""
        selector = fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        infos = self.retried(lambda: self.filesystem.get_file_info(selector))
        return sorted(infos, key=lambda info: info.path)

    def read(self) -> bytes:
        with self.open() as file:
            return file.read()

    def open(self, reading: Callable[[], None] = lambda: None) -> SteadyFile:
        """Open for random-access reading."""
        return SteadyFile(
            self.url, lambda: self.filesystem.open_input_file(self.path), self.retried, reading
        )

    def write(self, data: bytes | pa.Buffer) -> None:
        """Replace the whole file: a reader sees either the old bytes or the new, never a part."""
        if self.is_object:
            self.retried(lambda: self._write_here(data))
            return
        aside = Location(self.filesystem, f"{self.path}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            self.retried(lambda: aside._write_here(data))
            aside.move_to(self)
        except StorageError:
            with contextlib.suppress(StorageError):
                aside.delete()
            raise

    def move_to(self, target: Location) -> None:
        """Rename within one file system; atomic if that file system's rename is."""
        size = self._flush() if self.is_local else self.info().size
        tries = 0

        def move() -> None:
            nonlocal tries
            tries += 1
            try:
                self.filesystem.move(self.path, target.path)
            except Exception as error:
                was_moved = tries > 1 and is_missing(error)
                if not was_moved or self.filesystem.get_file_info(target.path).size != size:
                    raise

        target.retried(move)
        if self.is_local:
            target._flush_folder()

    def make_folder(self) -> None:
        if not self.is_object:
            self.retried(lambda: self.filesystem.create_dir(self.path, recursive=True))

    def delete(self) -> None:
        """Delete a file; does nothing if it does not exist."""
        self._remove(self.filesystem.delete_file)

    def delete_folder(self) -> None:
        """Delete a folder and its contents; does nothing if it does not exist."""
        self._remove(self.filesystem.delete_dir)

    def _remove(self, delete: Callable[[str], None]) -> None:
        def remove() -> None:
            try:
                delete(self.path)
            except Exception as error:
                if not is_missing(error):
                    raise

        self.retried(remove)

    def _write_here(self, data: bytes | pa.Buffer) -> None:
        # Makes a browser show the page from an object store instead of downloading it.
        page = {"Content-Type": "text/html; charset=utf-8"} if self.path.endswith(".html") else None
        with self.filesystem.open_output_stream(self.path, metadata=page) as file:
            file.write(data)

    def _flush(self) -> int:
        """Flush the file to disk and return its size in bytes."""

        def flush() -> int:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
                return os.fstat(file.fileno()).st_size

        return self.retried(flush)

    def _flush_folder(self) -> None:
        """Flush the folder too: otherwise a power failure may undo the rename."""

        def flush() -> None:
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

        self.retried(flush)


def delete_all(files: Iterable[Location], check: Callable[[], None] = lambda: None) -> None:
    """Delete many files, several at a time, since each takes at least one round trip.

    Args:
        files: what to delete.
        check: called before each file; what it raises ends the deletion.
    """

    def delete(file: Location) -> None:
        check()
        file.delete()

    left = iter(files)
    with ThreadPoolExecutor(_DELETING) as threads:
        while some := list(islice(left, _DELETED_AT_ONCE)):
            list(threads.map(delete, some))
