"""A place on a file system, by path or URL, with the few moves the ledger needs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from batchfim.errors import ConfigError, StorageError


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
        """
        if "://" not in url:
            return cls(fs.LocalFileSystem(), str(Path(url).expanduser().resolve()))
        try:
            return cls(*fs.FileSystem.from_uri(url))
        except pa.ArrowInvalid:
            return cls._of_fsspec(url)
        except OSError as error:
            raise ConfigError(f"{url}: {str(error).splitlines()[0]}") from None

    @classmethod
    def _of_fsspec(cls, url: str) -> Location:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"{url}: {error}") from None
        return cls(fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path)

    def __truediv__(self, name: str) -> Location:
        return Location(self.filesystem, f"{self.path.rstrip('/')}/{name}")

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def info(self) -> fs.FileInfo:
        """Type, size and modification time."""
        with storage_errors(self):
            return self.filesystem.get_file_info(self.path)

    def exists(self) -> bool:
        return self.info().type is not fs.FileType.NotFound

    def list(self, *, recursive: bool = False) -> list[fs.FileInfo]:
        """Files and folders below, by path; none where the folder does not exist."""
        selector = fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        with storage_errors(self):
            return sorted(self.filesystem.get_file_info(selector), key=lambda info: info.path)

    def read(self) -> bytes:
        with storage_errors(self), self.filesystem.open_input_file(self.path) as file:
            return bytes(file.read())

    def write(self, data: bytes) -> None:
        """Replace the file as a whole: a reader sees the old bytes or the new, never a part."""
        aside = Location(self.filesystem, f"{self.path}.{uuid.uuid4().hex[:8]}.tmp")
        with storage_errors(self), self.filesystem.open_output_stream(aside.path) as file:
            file.write(data)
        aside.move_to(self)

    def move_to(self, target: Location) -> None:
        """Rename within one file system, atomic where that file system's rename is."""
        with storage_errors(target):
            self._flush()
            self.filesystem.move(self.path, target.path)

    def make_folder(self) -> None:
        with storage_errors(self):
            self.filesystem.create_dir(self.path, recursive=True)

    def delete(self) -> None:
        """Delete a file; harmless where it is gone already."""
        with storage_errors(self):
            if self.filesystem.get_file_info(self.path).type is not fs.FileType.NotFound:
                self.filesystem.delete_file(self.path)

    def delete_folder(self) -> None:
        """Delete a folder with all that is in it."""
        with storage_errors(self):
            self.filesystem.delete_dir(self.path)

    def _flush(self) -> None:
        if self.is_local:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())


@contextmanager
def storage_errors(where: Location) -> Iterator[None]:
    """Translate a file system's errors, with the path they are about."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{where.path}: {error}") from error
