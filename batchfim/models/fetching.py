"""Fetch a job's model and adapters to this machine's disk before it starts, and check them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchfim.config import Model
from batchfim.errors import ModelError
from batchfim.models.adapters import find_adapters
from batchfim.models.files import find_model

_LENGTH_BYTES = 8  # safetensors: the header's length, the header (JSON), then the tensors


@dataclass(frozen=True)
class Fetched:
    """A model or adapter that is complete on this machine."""

    place: str
    folder: Path
    revision: str | None
    num_files: int
    size_bytes: int

    def summary(self) -> dict[str, Any]:
        return {
            "model": self.place,
            "folder": str(self.folder),
            "revision": self.revision,
            "files": self.num_files,
            "bytes": self.size_bytes,
        }


def fetch_models(model: Model) -> Iterator[Fetched]:
    """Fetch the model and each of its adapters, and check their files.

    Raises:
        ModelError: the model does not exist, or one of its files is missing or truncated.
        StorageError: it could not be copied.
    """
    files = find_model(model, weights=True)
    yield _checked(model.path, files.path, files.revision)
    for adapter in find_adapters(model.adapters).values():
        yield _checked(adapter.place, adapter.path, None)


def _checked(place: str, folder: Path, revision: str | None) -> Fetched:
    files = [file for file in folder.rglob("*") if file.is_file()]
    for file in files:
        if problem := _problem(file):
            raise ModelError(
                f"model {place}: {file}: {problem}; delete {folder} and fetch it again"
            )
    size_bytes = sum(file.stat().st_size for file in files)
    return Fetched(place, folder, revision, len(files), size_bytes)


def _problem(file: Path) -> str | None:
    """What is wrong with a weights file, judged by its own header or index."""
    if file.name.endswith(".safetensors.index.json"):
        named = set(json.loads(file.read_text(encoding="utf8"))["weight_map"].values())
        missing = sorted(name for name in named if not (file.parent / name).is_file())
        return f"{', '.join(missing)} missing" if missing else None
    if file.suffix != ".safetensors":
        return None
    size, wanted = file.stat().st_size, _wanted_bytes(file)
    return None if size == wanted else f"{size:,} bytes, but its header says {wanted:,}"


def _wanted_bytes(file: Path) -> int:
    """Size of a safetensors file according to its header, or 0 if that cannot be read."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > file.stat().st_size:
            return 0
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key[0] != "_"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0
    return _LENGTH_BYTES + length + max(ends, default=0)
