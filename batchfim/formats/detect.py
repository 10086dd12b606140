"""Which family a model belongs to."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.format import Format


def family_format(name: str) -> Format:
    """The catalog's entry for a family.

    Raises:
        ModelError: no such family; the message lists those there are.
    """
    if name not in CATALOG:
        raise ModelError(f"model.family {name!r}: unknown; families: {', '.join(CATALOG)}")
    return CATALOG[name]


def detect_format(model_config: Mapping[str, Any], vocabulary: Container[str]) -> Format:
    """The family of a model, from its `config.json` and the tokens its tokenizer has.

    A sentinel in the vocabulary proves nothing by itself, so the architecture must agree too.

    Raises:
        ModelError: no family fits, or several do.
    """
    model_type = str(model_config.get("model_type"))
    fitting = [
        form
        for form in CATALOG.values()
        if model_type in form.model_types
        and all(text in vocabulary for text in form.control_texts())
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(form.family for form in fitting)
        raise ModelError(f"the model fits several families: {names}; set model.family")
    raise ModelError(
        f"no infilling family known for model_type {model_type!r} with this tokenizer; set "
        f"model.family to one of {', '.join(CATALOG)}, or give infill.format"
    )
