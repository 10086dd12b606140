"""The families, and the models that have none, as data, in one YAML file per maker.

A family is written in YAML exactly like a user's own format in a job file. It contains no ids:
sentinels are looked up by their text in the model's tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

from batchfim.formats.catalog.family import Family, Outsider

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read() -> tuple[dict[str, Family], tuple[Outsider, ...]]:
    families: dict[str, Family] = {}
    outsiders: list[Outsider] = []
    folder = resources.files(__package__)
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            tree: dict[str, Any] = yaml.load(file.read_text(encoding="utf8"), _LOADER)
            for name, fields in tree.get("families", {}).items():
                families[name] = Family(family=name, **fields)
            outsiders += [Outsider(**fields) for fields in tree.get("outsiders", [])]
    return families, tuple(outsiders)


_FAMILIES, OUTSIDERS = _read()
CATALOG: Mapping[str, Family] = MappingProxyType(_FAMILIES)
