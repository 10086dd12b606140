"""Locate LoRA adapters and read their rank and identity before any model is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchfim.errors import ModelError
from batchfim.models.files import locate

_CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as PEFT writes it.

    Attributes:
        path: its local folder.
        rank: the highest rank of its matrices.
        digest: identity of its files.
        place: where a worker finds the same adapter, pinned to its version if it has one.
    """

    path: Path
    rank: int
    digest: str
    place: str


def find_adapters(places: Mapping[str, str]) -> dict[str, Adapter]:
    """Locate adapters, each given as a folder, URL or model id with an optional `#revision`.

    Args:
        places: each adapter's place, by name.

    Raises:
        ModelError: an adapter does not exist or is not a LoRA adapter.
        StorageError: the storage behind a URL failed.
    """
    return {name: _find(name, place) for name, place in places.items()}


def _find(name: str, place: str) -> Adapter:
    if Path(place).expanduser().is_dir():
        path, revision = locate(place, None, None)
        return Adapter(path, _rank(name, path), _digest(path), place)
    base, _, asked = place.partition("#")
    path, revision = locate(base, asked or None, None)
    pinned = place if revision is None else f"{base}#{revision}"
    return Adapter(path, _rank(name, path), revision or _digest(path), pinned)


def _rank(name: str, path: Path) -> int:
    try:
        config = json.loads((path / _CONFIG).read_text(encoding="utf8"))
        ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
        if config.get("peft_type", "LORA") == "LORA" and all(isinstance(r, int) for r in ranks):
            return int(max(ranks))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ModelError(
        f"LoRA adapter {name!r}: {path} has no {_CONFIG} of a LoRA adapter as written by PEFT"
    )


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.glob("adapter_*")):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
