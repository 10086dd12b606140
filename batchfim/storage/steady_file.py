"""A file whose reads survive temporary storage failures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pyarrow as pa

from batchfim.errors import StorageError

Retry = Callable[[Callable[[], bytes]], bytes]


class SteadyFile(io.RawIOBase):
    """Random access to one file; each failed read is retried on a newly opened file.

    Wrap it in `pa.PythonFile(file, mode="r")`: any error from Arrow other than `StorageError` is
    then about the content.
    """

    def __init__(
        self,
        url: str,
        open_file: Callable[[], pa.NativeFile],
        retry: Retry,
        reading: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the file once, to get its size.

        Args:
            url: name of the file in errors.
            open_file: opens the file for reading.
            retry: runs an action, retrying while the storage fails.
            reading: called before each read, and each retry of one.
        """
        super().__init__()
        self._url = url
        self._open_file = open_file
        self._retry = retry
        self._reading = reading
        self._file: pa.NativeFile | None = None
        self._place = 0
        self.size_bytes = 0
        retry(self._measure)

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes from the current position."""
        end = self.size_bytes if size is None or size < 0 else self._place + size
        num_bytes = max(min(end, self.size_bytes) - self._place, 0)
        data = self._retry(lambda: self._read_here(num_bytes))
        self._place += num_bytes
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size_bytes}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._drop()
        super().close()

    def _measure(self) -> bytes:
        self.size_bytes = int(self._opened().size())
        return b""

    def _read_here(self, num_bytes: int) -> bytes:
        self._reading()
        with contextlib.ExitStack() as failing:
            failing.callback(self._drop)
            file = self._opened()
            file.seek(self._place)
            data = bytes(file.read(num_bytes))
            if len(data) < num_bytes:
                raise TimeoutError(f"the read ended early, after {len(data)} bytes")
            failing.pop_all()
            return data

    def _opened(self) -> pa.NativeFile:
        if self._file is None:
            file = self._open_file()
            if self._place and file.size() != self.size_bytes:
                raise StorageError(f"{self._url}: the file changed while it was read")
            self._file = file
        return self._file

    def _drop(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
