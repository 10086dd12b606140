"""Find the columns of an output that an evaluation needs."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from batchfim.errors import InputError
from batchfim.quality.rows import Sources
from batchfim.records import FILE_SIDES, REFERENCE, is_text


def find_sources(
    schema: pa.Schema, columns: Mapping[str, str | None], middle: str, reference: str | None
) -> tuple[Sources, list[str]]:
    """The columns by role, and notes on what cannot be measured because some are missing.

    Args:
        schema: the schema of a part.
        columns: the job's `input.columns`.
        middle: column with the text to evaluate.
        reference: column to compare it with; if None, the usual one if it exists.

    Raises:
        InputError: a requested column does not exist or is not text.
    """
    _check(schema, middle, "--middle")
    if reference is not None:
        _check(schema, reference, "--reference")

    def found(name: str | None) -> str | None:
        return name if name in schema.names and is_text(schema.field(name).type) else None

    sides = columns["prefix"], columns["suffix"]
    prefix, suffix = FILE_SIDES if all(map(found, FILE_SIDES)) else sides
    sources = Sources(
        middle=middle,
        reference=found(reference or REFERENCE),
        prefix=found(prefix),
        suffix=found(suffix),
        language=found(columns["language"] or "language"),
        path=found(columns["path"] or "path"),
        kind=found("kind"),
        test=found("test"),
        entry_point=found("entry_point"),
        id="id" if "id" in schema.names else None,
    )
    return sources, _missing(sources)


def _check(schema: pa.Schema, name: str, option: str) -> None:
    texts = [field.name for field in schema if is_text(field.type)]
    if name not in texts:
        fault = "is not text" if name in schema.names else "does not exist"
        raise InputError(
            f"{option}: column {name!r} {fault}; choose a text column of the output: "
            f"{', '.join(texts)}"
        )


def _missing(sources: Sources) -> list[str]:
    notes = []
    if sources.reference is None:
        notes.append(
            f"no column {REFERENCE}: nothing is compared with a reference; give yours with "
            "--reference"
        )
    if sources.prefix is None or sources.suffix is None:
        notes.append(
            "prefix and suffix are not in the output (input.keep): there is no file to parse or run"
        )
    elif sources.language is None and sources.path is None:
        notes.append("no column language or path: the syntax of the files is not checked")
    return notes
