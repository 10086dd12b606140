"""What `batchfim prompt` shows of a model."""

from __future__ import annotations

from typing import Any

from batchfim.api import show_prompt
from batchfim.config.files import load_config
from batchfim.surroundings import NOWHERE, Surroundings


def shown_prompt(
    model: str,
    prefix: str,
    suffix: str,
    *sets: str,
    family: str | None = None,
    order: str | None = None,
    around: Surroundings = NOWHERE,
) -> dict[str, Any]:
    """By flags alone, as on the command line."""
    flags = {"model.path": model, "model.family": family, "infill.order": order}
    config = load_config(None, flags | {"input.paths": ["."], "output.path": "."}, sets)
    return show_prompt(config, prefix, suffix, around=around)
