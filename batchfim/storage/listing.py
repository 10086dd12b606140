"""What lies in a folder of a million files: one listing, kept as columns and not as objects."""

from __future__ import annotations

import os
from array import array

import pyarrow as pa

from batchfim.storage.location import Location, storage_errors


def names_in(folder: Location) -> list[str]:
    """Names of files and folders, in no order; none where there is no folder.

    On a local disk no file is looked at, which takes a fifth of the time of `sizes_in`.
    """
    if not folder.is_local:
        return [str(info.base_name) for info in folder.list()]
    with storage_errors(folder):
        return os.listdir(folder.path) if os.path.isdir(folder.path) else []


def sizes_in(folder: Location) -> pa.Table:
    """Files by `name` and `size_bytes`, in no order; none where there is no folder."""
    names: list[str] = []
    sizes = array("q")
    if folder.is_local:
        _scan(folder, names, sizes)
    else:
        for info in folder.list():
            if info.is_file:
                names.append(info.base_name)
                sizes.append(info.size)
    return pa.table({"name": pa.array(names, pa.string()), "size_bytes": pa.array(sizes)})


def _scan(folder: Location, names: list[str], sizes: array[int]) -> None:
    """By descriptor: a look at each file then costs no walk along its path."""
    with storage_errors(folder):
        if not os.path.isdir(folder.path):
            return
        descriptor = os.open(folder.path, os.O_RDONLY)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if entry.is_file():
                        names.append(entry.name)
                        sizes.append(entry.stat().st_size)
        finally:
            os.close(descriptor)
