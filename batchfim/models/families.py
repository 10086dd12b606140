"""The catalog of families as data, and the family of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchfim.config import Model
from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG, OUTSIDERS
from batchfim.formats.detect import Detection, by_name, model_names
from batchfim.models.files import find_model
from batchfim.models.infiller import detect_family


def list_families() -> dict[str, list[dict[str, Any]]]:
    """All families with all fields, the models without infilling, and the closed models."""
    outsiders = [outsider.model_dump(mode="json") for outsider in OUTSIDERS]
    return {
        "families": [
            family.model_dump(mode="json") | {"decoding": family.decoding}
            for family in CATALOG.values()
        ],
        "without_infilling": [row for row in outsiders if not row["closed"]],
        "closed": [row for row in outsiders if row["closed"]],
    }


def explain_model(model: str, *, trust_remote_code: bool = False) -> dict[str, Any]:
    """Detect the family of a model, and report the reasons.

    A folder is judged by its name, config and tokenizer. A model id is judged by its name alone,
    without network access, if the name decides; otherwise its small files are fetched. A tokenizer
    implemented by the model's own code runs only with `trust_remote_code`.

    Returns:
        `model`, `family`, `order`, `engine`, `task`, `witnesses`, `warnings`, `tokenizer_checked`.

    Raises:
        ModelError: the model cannot infill, no family is detected, or there is no such model.
    """
    if not model:
        raise ModelError("the model's name is empty; give a model id or folder")
    if model != "demo" and not Path(model).expanduser().is_dir():
        detection = by_name(model_names(model))
        if detection is not None:
            return _row(model, detection, detection.family.engine, checked=False)
    section = Model(path=model, trust_remote_code=trust_remote_code)
    files = find_model(section, weights=False)
    detection = detect_family(files, section)
    engine = detection.family.engine_for(files.architectures)
    return _row(model, detection, engine, checked=True)


def detection_text(row: dict[str, Any]) -> str:
    """A detection as lines of text."""
    lines = [
        f"{row['model']}: family {row['family']}, order {row['order']}, engine {row['engine']}",
        f"because of: {', '.join(row['witnesses'])}",
    ]
    if not row["tokenizer_checked"]:
        lines.append("the tokenizer was not checked: the family was detected from the name alone")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in row["warnings"])])


def _row(model: str, detection: Detection, engine: str, *, checked: bool) -> dict[str, Any]:
    return {
        "model": model,
        "family": detection.family.family,
        "order": detection.family.order,
        "engine": engine,
        "task": detection.family.task,
        "witnesses": list(detection.witnesses),
        "warnings": list(detection.warnings),
        "tokenizer_checked": checked,
    }
