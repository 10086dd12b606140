"""Detect the family a model belongs to, and why.

A model's name is checked first, and models that cannot infill are refused by it. Otherwise its
architecture, if no other kind of model has it, and the sentinels in its tokenizer decide together.
Sentinels alone prove nothing: every plain Qwen2.5 has them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG, OUTSIDERS
from batchfim.formats.catalog.family import Family

_INSTEAD = "set infill.order to prefix_only to run it left to right as a baseline"
_SNAPSHOT = re.compile(r"models--([^/]+?)--([^/]+)/snapshots/[^/]+$")


@dataclass(frozen=True, slots=True)
class Detection:
    """A model's family, the evidence for it, and warnings to show before using it."""

    family: Family
    witnesses: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def model_names(
    path: str, config: Mapping[str, Any] | None = None, revision: str | None = None
) -> tuple[str, ...]:
    """Names of a model in lower case.

    These are the last part of its id or folder, the last part of the id in its config, and its
    revision, since some models have variants there (SantaCoder's `no-fim`).
    """
    own_name = str((config or {}).get("_name_or_path") or "")
    names = (_last(path), _last(own_name), (revision or "").lower())
    return tuple(dict.fromkeys(name for name in names if name))


def family_format(name: str) -> Family:
    """The catalog's entry for a family.

    Raises:
        ModelError: there is no such family; the message lists the known ones.
    """
    if name not in CATALOG:
        raise ModelError(f"model.family {name!r}: unknown; set one of {', '.join(CATALOG)}")
    return CATALOG[name]


def by_name(names: tuple[str, ...]) -> Detection | None:
    """The family that a model's names indicate; None if they indicate none.

    Raises:
        ModelError: the model cannot infill, or its names indicate several families.
    """
    refuse(names)
    fitting = [family for family in CATALOG.values() if family.match(names)]
    if len(fitting) > 1:
        raise _ambiguous(fitting, f"the model's name {names[0]!r}")
    if not fitting:
        return None
    family = fitting[0]
    warnings = [variant.reason for variant in family.warned if variant.match(names)]
    return Detection(family, (f"name {family.match(names)!r}",), tuple(warnings))


def refuse(names: tuple[str, ...]) -> None:
    """Refuse models that are known not to infill.

    Raises:
        ModelError: this is such a model; the message has the reason and what to do instead.
    """
    for family in CATALOG.values():
        for variant in family.refused:
            if name := variant.match(names):
                raise ModelError(
                    f"model {name!r} (family {family.family}): {variant.reason}; {_INSTEAD}"
                )
    for outsider in OUTSIDERS:
        if name := outsider.match(names):
            way_out = "" if outsider.closed else f"; {_INSTEAD}"
            raise ModelError(f"model {name!r} ({outsider.title}): {outsider.reason}{way_out}")


def detect(
    names: tuple[str, ...], model_config: Mapping[str, Any], vocabulary: Container[str]
) -> Detection:
    """Detect a model's family from its names, its `config.json` and its tokenizer's tokens.

    Raises:
        ModelError: it cannot infill, no family fits, several do, or its name indicates a family
            whose sentinels its tokenizer lacks.
    """
    detection = by_name(names)
    if detection is not None:
        _check_sentinels(detection.family, vocabulary)
        return Detection(detection.family, (*detection.witnesses, "sentinels"), detection.warnings)
    model_type = str(model_config.get("model_type"))
    fitting = [
        family
        for family in CATALOG.values()
        if model_type in family.model_types and not _missing(family, vocabulary)
    ]
    if len(fitting) == 1:
        return Detection(fitting[0], (f"model_type {model_type!r}", "sentinels"))
    if fitting:
        raise _ambiguous(fitting, f"model_type {model_type!r} with this tokenizer")
    raise ModelError(
        f"no infilling family known for model_type {model_type!r} with this tokenizer"
        f"{_called(names)}; set model.family to one of {', '.join(CATALOG)}, or give infill.format"
    )


def _missing(family: Family, vocabulary: Container[str]) -> list[str]:
    wanted = family.sentinels(family.order) | set(family.stops)
    return sorted(text for text in wanted if text not in vocabulary)


def _check_sentinels(family: Family, vocabulary: Container[str]) -> None:
    if missing := _missing(family, vocabulary):
        raise ModelError(
            f"the model's name indicates family {family.family}, but its tokenizer has no "
            f"{', '.join(map(repr, missing))}; set model.family or give infill.format"
        )


def _ambiguous(fitting: list[Family], what: str) -> ModelError:
    names = ", ".join(family.family for family in fitting)
    return ModelError(f"{what} fits several families: {names}; set model.family")


def _called(names: tuple[str, ...]) -> str:
    return f" and the name {' or '.join(map(repr, names))}" if names else ""


def _last(path: str) -> str:
    path = path.rstrip("/")
    if match := _SNAPSHOT.search(path):
        return match[2].lower()
    return path.rsplit("/", 1)[-1].lower()
