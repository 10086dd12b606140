"""A place on a file system, by path or URL, with the few moves the ledger needs.

Each operation is retried while the storage fails in a way that may pass, and is made so that it
can be: it may have been done although its answer was lost.
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

# Stores where a file appears as a whole, once it is closed, and folders are but names.
_OBJECT_STORES = frozenset({"s3", "gcs"})
_DELETING = 16
_DELETED_AT_ONCE = 4096  # of a million, no more are held as tasks


@dataclass(frozen=True)
class Location:
    """A file or folder; `path` is in the form its file system wants."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def of(cls, url: str) -> Location:
        """Open a local path or a URL (`s3://`, `gs://`, `abfss://`, and what fsspec knows).

        Raises:
            ConfigError: no file system answers to the URL's scheme.
            StorageError: there is no such bucket.
        """
        return cls(*open_store(url))

    def __truediv__(self, name: str) -> Location:
        return Location(self.filesystem, f"{self.path.rstrip('/')}/{name}")

    @property
    def url(self) -> str:
        """What errors call it: the path, or the URL without its query."""
        return name_of(self.filesystem, self.path)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def is_object(self) -> bool:
        """Whether it is in an object store."""
        return self.filesystem.type_name in _OBJECT_STORES

    def retried(self, action: Callable[[], T]) -> T:
        """Do it, again where the storage fails for a while; it must be safe to repeat.

        Raises:
            StorageBusy, StorageError: as `retries.retried` says.
        """
        return retried(action, self.url, str(self.filesystem.type_name))

    def info(self) -> fs.FileInfo:
        """Type, size and modification time."""
        return self.retried(lambda: self.filesystem.get_file_info(self.path))

    def exists(self) -> bool:
        return self.info().type is not fs.FileType.NotFound

    def missing(self) -> str:
        """What is missing where a file or folder was not found: the bucket, or only this."""
        bucket = Location(self.filesystem, self.path.partition("/")[0])
        has_bucket = not self.is_object or bucket.exists()
        return "file or folder" if has_bucket else f"bucket: {bucket.path}"

    def list(self, *, recursive: bool = False) -> list[fs.FileInfo]:
        """Files and folders below, by path; none where the folder does not exist."""
        selector = fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        infos = self.retried(lambda: self.filesystem.get_file_info(selector))
        return sorted(infos, key=lambda info: info.path)

    def read(self) -> bytes:
        with self.open() as file:
            return file.read()

    def open(self) -> SteadyFile:
        """Open for reading at random places."""
        return SteadyFile(
            self.url, lambda: self.filesystem.open_input_file(self.path), self.retried
        )

    def write(self, data: bytes | pa.Buffer) -> None:
        """Replace the file as a whole: a reader sees the old bytes or the new, never a part."""
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
        """Rename within one file system, atomic where that file system's rename is."""
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
        """Delete a file; harmless where it is gone already."""
        self._remove(self.filesystem.delete_file)

    def delete_folder(self) -> None:
        """Delete a folder with all that is in it; harmless where there is none."""
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
        # So that a browser shows what it is given from an object store, and does not save it.
        page = {"Content-Type": "text/html; charset=utf-8"} if self.path.endswith(".html") else None
        with self.filesystem.open_output_stream(self.path, metadata=page) as file:
            file.write(data)

    def _flush(self) -> int:
        """Have the file on the disk itself; returns its size in bytes."""

        def flush() -> int:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
                return os.fstat(file.fileno()).st_size

        return self.retried(flush)

    def _flush_folder(self) -> None:
        """Have its name there too, which a power cut may otherwise take back."""

        def flush() -> None:
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

        self.retried(flush)


def delete_all(files: Iterable[Location]) -> None:
    """Delete many files, some at once: each takes a round trip or several."""
    left = iter(files)
    with ThreadPoolExecutor(_DELETING) as threads:
        while some := list(islice(left, _DELETED_AT_ONCE)):
            list(threads.map(Location.delete, some))
