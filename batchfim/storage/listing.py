"""List folders of a million files, as columns instead of objects."""

from __future__ import annotations

import os
from array import array

import pyarrow as pa

from batchfim.storage.location import Location


def names_in(folder: Location) -> list[str]:
    """Names of files and folders, unordered; empty if the folder does not exist.

    On a local disk no file is examined, which takes a fifth of the time of `sizes_in`.
    """
    if not folder.is_local:
        return [str(info.base_name) for info in folder.list()]
    return folder.retried(lambda: os.listdir(folder.path) if os.path.isdir(folder.path) else [])


def sizes_in(folder: Location) -> pa.Table:
    """Files as `name` and `size_bytes`, unordered; empty if the folder does not exist."""
    if folder.is_local:
        return folder.retried(lambda: _scan(folder.path))
    files = [info for info in folder.list() if info.is_file]
    return _table([info.base_name for info in files], array("q", (info.size for info in files)))


def _scan(path: str) -> pa.Table:
    """Like `sizes_in`; scans by descriptor, so that each stat need not resolve the whole path."""
    names: list[str] = []
    sizes = array("q")
    if not os.path.isdir(path):
        return _table(names, sizes)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_file():
                    names.append(entry.name)
                    sizes.append(entry.stat().st_size)
    finally:
        os.close(descriptor)
    return _table(names, sizes)


def _table(names: list[str], sizes: array[int]) -> pa.Table:
    return pa.table({"name": pa.array(names, pa.string()), "size_bytes": pa.array(sizes)})
