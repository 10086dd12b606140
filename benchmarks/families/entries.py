"""The rows of a comparison before they run: each model in each order, with its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchfim.config import JobConfig
from batchfim.config.files import check_config, laid_over
from batchfim.errors import BatchfimError, ConfigError
from batchfim.formats.format import Format
from batchfim.models.files import ModelFiles, find_model
from batchfim.models.infiller import context_tokens, find_format, open_infiller, tokens_beside
from batchfim.terminal import printable
from benchmarks.families.contexts import common_room
from benchmarks.families.settings import ComparedModel, Comparison

_SIDE_BY_SIDE = ("psm", "spm_v2")


@dataclass(frozen=True)
class Entry:
    """A model in an order.

    Attributes:
        order: the given order or the family's own; None if the model could not be read.
        config: its job; None if it cannot run, and `error` says why.
        room: number of prompt tokens that fit its context; None for no limit.
        beside: number of tokens of the context that generation needs.
    """

    model: ComparedModel
    order: str | None
    config: JobConfig | None = None
    room: int | None = None
    beside: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        """Name of the row and of its folder."""
        return f"{self.model.name}-{self.order}" if self.order else self.model.name


def one_line(error: BatchfimError) -> str:
    """First line of an error."""
    return printable(str(error).strip().splitlines()[0])


def open_entries(comparison: Comparison, folder: Path) -> list[Entry]:
    """Every row, with the same room for prompts; rows that cannot run have an error."""
    entries = [
        entry for model in comparison.models for entry in _of_model(comparison, model, folder)
    ]
    room = common_room(rooms(entries))
    return [_with_room(entry, room) for entry in entries]


def rooms(entries: list[Entry]) -> dict[str, int | None]:
    """Room for prompts of each row that can run."""
    return {entry.name: entry.room for entry in entries if entry.config is not None}


def _of_model(comparison: Comparison, model: ComparedModel, folder: Path) -> list[Entry]:
    try:
        files, form = _read(comparison, model, folder)
    except BatchfimError as error:
        return [Entry(model, order, error=one_line(error)) for order in model.orders or (None,)]
    orders = model.orders or _default_orders(form)
    return [_entry(comparison, model, folder, files, form, order) for order in orders]


def _read(comparison: Comparison, model: ComparedModel, folder: Path) -> tuple[ModelFiles, Format]:
    config = _config(comparison, model, folder / "unused", {})
    files = find_model(config.model, weights=False)
    form, _ = find_format(files, config.model, config.infill)
    return files, form


def _default_orders(form: Format) -> tuple[str, ...]:
    both = all(order in form.layouts for order in _SIDE_BY_SIDE)
    return _SIDE_BY_SIDE if both else (form.order,)


def _entry(
    comparison: Comparison,
    model: ComparedModel,
    folder: Path,
    files: ModelFiles,
    form: Format,
    order: str,
) -> Entry:
    entry = Entry(model, order)
    changes: dict[str, Any] = {"infill": {"order": order}}
    if model.load_format == "dummy":  # a folder, since a worker would download an id's weights
        changes["model"] = {"path": str(files.path), "family": form.family}
    try:
        config = _config(comparison, model, folder / entry.name, changes)
        beside = tokens_beside(files, form, config)
        room = _room(config, files, form, beside)
        open_infiller(config, weights=False)
    except BatchfimError as error:
        return replace(entry, error=one_line(error))
    return replace(entry, config=config, room=room, beside=beside)


def _room(config: JobConfig, files: ModelFiles, form: Format, beside: int) -> int | None:
    """Number of prompt tokens that fit a model's context; None for no limit.

    Raises:
        ConfigError: there is no room.
    """
    limits = (context_tokens(files, form), config.engine.max_model_len)
    context = min((limit for limit in limits if limit), default=None)
    if context is None:
        return None
    if context <= beside:
        raise ConfigError(
            f"its context of {context:,} tokens has no room for a prompt in addition to "
            f"sampling.max_tokens {config.sampling.max_tokens:,}; lower the latter"
        )
    return context - beside


def _config(
    comparison: Comparison, model: ComparedModel, output: Path, changes: Mapping[str, Any]
) -> JobConfig:
    """The shared settings, overridden by the model's own and then by `changes`."""
    engine = dict(model.engine)
    if model.load_format == "dummy":
        engine["args"] = {**(engine.get("args") or {}), "load_format": "dummy"}  # type: ignore[dict-item]
    own = {
        "model": model.model_dump(include={"path", "family", "revision", "trust_remote_code"}),
        "output": {"path": str(output)},
        "engine": engine,
        "infill": {"masks": model.masks} if model.masks else {},
    }
    tree = laid_over(laid_over(comparison.job, own), dict(changes))
    return check_config(tree, f"model {model.name}")


def _with_room(entry: Entry, room: int | None) -> Entry:
    if entry.config is None or room is None:
        return entry
    engine = entry.config.engine.model_copy(update={"max_model_len": room + entry.beside})
    return replace(entry, config=entry.config.model_copy(update={"engine": engine}))
