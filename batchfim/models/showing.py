"""Show the prompt that a record becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from batchfim.config import JobConfig
from batchfim.config.absolute_paths import absolute
from batchfim.config.base import is_unicode
from batchfim.config.files import as_config
from batchfim.errors import ConfigError, InputError
from batchfim.formats.encoder import Encoder
from batchfim.models.files import find_model
from batchfim.models.infiller import find_format, open_tokenizer
from batchfim.records import Fault, place_text, read_holes
from batchfim.shards import Shard
from batchfim.storage.inputs import open_inputs
from batchfim.storage.rows import RowReader, columns_to_read
from batchfim.surroundings import NOWHERE, Surroundings
from batchfim.terminal import printable


def show_row(config: JobConfig | Mapping[str, Any], row: int) -> dict[str, Any]:
    """Build the untruncated prompt of a row of the input, which is read as a job reads it.

    Args:
        config: as for `api.run_job`.
        row: a row of the first input file, counted from 0.

    Returns:
        What `show_prompt` returns, with the file as `source` and the `row`.

    Raises:
        InputError: there is no such row, or a job would reject it.
        others: as `show_prompt`.
    """
    config = absolute(as_config(config))
    file, columns = open_inputs(config.input).files[0], config.input.columns
    if row >= file.num_rows:
        raise InputError(f"{file.path}: no row {row}; it has {file.num_rows}, counted from 0")
    reader = RowReader(columns_to_read(columns, ()))
    rows = reader.read(Shard("row", file.id, file.content, file.path, row, 1))
    loras = config.model.loras
    (hole,) = read_holes(rows, columns.prefix, columns.suffix, columns.others, loras)
    if isinstance(hole, Fault):
        raise InputError(f"{place_text(file.path, row)}{hole.reason}; a job rejects such a row")
    shown = show_prompt(config, hole.prefix, hole.suffix, around=hole.around)
    return shown | {"source": file.path, "row": row}


def show_prompt(
    config: JobConfig | Mapping[str, Any],
    prefix: str,
    suffix: str,
    *,
    around: Surroundings = NOWHERE,
) -> dict[str, Any]:
    """Build the untruncated prompt of one record, with the code that a job uses.

    Args:
        config: as for `api.run_job`, of which only the sections `model` and `infill` are used.
        prefix: text before the record's hole.
        suffix: text after the record's hole.
        around: the record's path, repository, language and context files.

    Returns:
        `family`, `order`, `token_ids`, `pieces` (kind, text and ids of each part, in order),
        `stop_token_ids` and `prompt_tokens`. If the number of masks is not set, one is shown.

    Raises:
        ModelError, ConfigError: there is no such model, family or order.
    """
    config = as_config(config)
    files, infill = find_model(config.model, weights=False), config.infill
    form, _ = find_format(files, config.model, infill)
    order = form.orders(infill.order)[0]
    if infill.context == "as_prefix":
        form = form.with_context_as_prefix(order)
    if around.context and "context" not in form.fields(order):
        raise ConfigError(
            f"order {order!r} of family {form.family} has no place for context files; choose "
            "another infill.order, or set infill.context to as_prefix"
        )
    encoder = Encoder(form, order, open_tokenizer(files, form), masks=infill.masks or 1)
    for name, text in (("prefix", prefix), ("suffix", suffix)):
        if not is_unicode(text):
            raise InputError(f"the {name} is not valid UTF-8 text")
    pieces = encoder.pieces(prefix, suffix, around)
    token_ids = [token_id for piece in pieces for token_id in piece.token_ids]
    return {
        "family": form.family,
        "order": encoder.order,
        "token_ids": token_ids,
        "pieces": [asdict(piece) | {"token_ids": list(piece.token_ids)} for piece in pieces],
        "stop_token_ids": list(encoder.stop_token_ids),
        "prompt_tokens": len(token_ids),
    }


def prompt_text(shown: Mapping[str, Any]) -> str:
    """Where the record is, if it is a row of the input; its pieces with their ids; the stops."""
    lines = [f"{printable(shown['source'])}, row {shown['row']}"] if "source" in shown else []
    lines.append(f"{shown['family']}, order {shown['order']}, {shown['prompt_tokens']} tokens")
    for piece in shown["pieces"]:
        lines.append(f"{piece['kind']:>8}  {piece['text']!r}  {piece['token_ids']}")
    lines.append(f"   stops  {shown['stop_token_ids']}")
    return "\n".join(lines)
