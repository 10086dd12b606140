"""One job's conversion between records and token ids: model files, format, encoder, finisher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchfim.config import Infill, JobConfig, Model, Truncation
from batchfim.errors import ConfigError, ModelError
from batchfim.formats.detect import Detection, detect, family_format, model_names
from batchfim.formats.encoder import Encoder
from batchfim.formats.finishing import Finisher
from batchfim.formats.format import FORMAT_FIELDS, PREFIX_ONLY, Format
from batchfim.formats.prefix_only import prefix_only_format
from batchfim.formats.prompt_encoder import PromptEncoder
from batchfim.formats.tokenizer import TextTokenizer, Vocabulary
from batchfim.models.adapters import Adapter, find_adapters
from batchfim.models.files import ModelFiles, find_model
from batchfim.planning.choosing import ChoosingEncoder


@dataclass(frozen=True)
class Infiller:
    """Converts a job's records to prompts and its generations to middles."""

    files: ModelFiles
    tokenizer: TextTokenizer
    encoder: PromptEncoder
    finisher: Finisher
    max_model_len: int | None
    warnings: tuple[str, ...] = ()
    adapters: Mapping[str, Adapter] = field(default_factory=dict)

    def fingerprint_fields(self) -> dict[str, Any]:
        """Properties of the model and the format that decide a record's output."""
        return {
            "model digest": self.files.digest(),
            "format": self.encoder.form.fingerprint_fields(self.encoder.order),
            "order": self.encoder.order,
            "context": self.max_model_len,
            "adapter digests": sorted(adapter.digest for adapter in self.adapters.values()),
        }

    def fingerprint_defaults(self) -> dict[str, Any]:
        """Defaults of those `fingerprint_fields` that a family need not set."""
        unset = {
            name: field.default
            for name, field in Format.model_fields.items()
            if name in FORMAT_FIELDS and not field.is_required()
        }
        return {"format": unset, "adapter digests": []}

    @property
    def adapter_digests(self) -> dict[str, str]:
        """By the places where workers find the adapters."""
        return {adapter.place: adapter.digest for adapter in self.adapters.values()}

    def pin_revision(self, config: JobConfig) -> JobConfig:
        """The job with the revisions of all model ids pinned, so that all workers load the same."""
        model, places = config.model, {n: adapter.place for n, adapter in self.adapters.items()}
        pinned = {
            "revision": self.files.revision or model.revision,
            "lora": model.lora and places[model.lora],
            "loras": {name: places[name] for name in model.loras},
        }
        return config.model_copy(update={"model": model.model_copy(update=pinned)})

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the model for the ledger and the summary."""
        return {
            "path": str(self.files.path),
            "digest": self.files.digest(),
            "family": self.encoder.form.family,
            "order": self.encoder.order,
            "max_model_len": self.max_model_len,
            "warnings": list(self.warnings),
        }


def open_infiller(config: JobConfig, *, weights: bool) -> Infiller:
    """Find the model and build its encoder.

    Args:
        config: the job.
        weights: fetch the weights too (for a worker), or only the files that prompts need.

    Raises:
        ModelError, ConfigError: as `find_model`, `find_format` and `Encoder`.
    """
    files = find_model(config.model, weights=weights)
    form, warnings = find_format(files, config.model, config.infill)
    form = _with_context(form, config)
    warnings += _empty_places(form, config)
    tokenizer = open_tokenizer(files, form)
    max_model_len = config.engine.max_model_len or context_tokens(files, form)
    truncation: Truncation = config.infill.truncation
    encoders = [
        Encoder(
            form,
            order,
            tokenizer,
            max_prompt_tokens=max_model_len and max_model_len - tokens_beside(files, form, config),
            truncate=truncation.enabled,
            prefix_share=truncation.prefix_share,
            align=truncation.align or 1,
            masks=config.infill.masks,
        )
        for order in form.orders(config.infill.order)
    ]
    encoder: PromptEncoder = encoders[0] if len(encoders) == 1 else ChoosingEncoder(encoders)
    stop = tuple(dict.fromkeys((*config.infill.stop, *form.stop_rules)))
    finisher = Finisher(tokenizer, encoder.stop_token_ids, stop=stop, trim=config.infill.trim)
    adapters = find_adapters(config.model.adapters)
    return Infiller(files, tokenizer, encoder, finisher, max_model_len, warnings, adapters)


def tokens_beside(files: ModelFiles, form: Format, config: JobConfig) -> int:
    """Tokens of the context that the prompt must leave free.

    That is none for a masked model, whose middle is part of its prompt, and for T5, whose decoder
    counts positions from its own start. Bart's decoder does so too, but begins with the prefix, and
    UniXcoder is one stack for both.
    """
    is_t5 = form.task == "seq2seq" and files.config.get("model_type") == "t5"
    return 0 if form.task == "masked" or is_t5 else config.sampling.max_tokens


def context_tokens(files: ModelFiles, form: Format) -> int | None:
    """The model's context length in tokens.

    For causal models it is the config's, because variants of a family differ in it. Other models'
    configs are not reliable here: Roberta's count two positions that no token can have.
    """
    limits = [tokens for tokens in (files.context_tokens, form.context_tokens) if tokens]
    if form.task != "causal":
        return min(limits, default=None)
    return limits[0] if limits else None


def _with_context(form: Format, config: JobConfig) -> Format:
    """The format, with a place for context files if the job asks for one.

    An order chosen by the job must get every column it names; the recommended one leaves missing
    ones empty.

    Raises:
        ConfigError: a column that the order needs is not set, or `context` is set and has no place.
    """
    orders = form.orders(config.infill.order)
    if config.infill.context == "as_prefix":
        if config.input.columns.context is None:
            raise ConfigError("infill.context is as_prefix: set input.columns.context, too")
        for order in orders:
            form = form.with_context_as_prefix(order)
    for order in orders:
        _check_fields(form, order, config)
    if config.infill.masks and form.mask is None:
        raise ConfigError(f"infill.masks: family {form.family} does not use masks; leave it unset")
    return form


def _check_fields(form: Format, order: str, config: JobConfig) -> None:
    columns, needed = config.input.columns, form.fields(order)
    missing = [f"input.columns.{name}" for name in sorted(needed) if name not in columns.names]
    if missing and config.infill.order:
        raise ConfigError(f"infill.order {order!r} needs {', '.join(missing)}; set it")
    if columns.context and "context" not in needed:
        orders = [name for name in form.layouts if "context" in form.fields(name)]
        way_out = f"set infill.order to {' or '.join(orders)}, or " if orders else ""
        raise ConfigError(
            f"input.columns.context is set, but order {order!r} of family {form.family} has no "
            f"place for it; {way_out}set infill.context to as_prefix"
        )


def _empty_places(form: Format, config: JobConfig) -> tuple[str, ...]:
    """A warning if the recommended order has places that stay empty for lack of a column."""
    empty = form.fields(form.order) - config.input.columns.names.keys()
    if config.infill.order or not empty:
        return ()
    columns = ", ".join(f"input.columns.{name}" for name in sorted(empty))
    return (f"order {form.order!r} has places for more columns; to fill them, set {columns}",)


def open_tokenizer(files: ModelFiles, form: Format) -> TextTokenizer:
    """The model's tokenizer for texts and prompts in this format."""
    try:
        return TextTokenizer(
            files.tokenizer_json, form.control_texts(), own_prefix=files.own_prefix
        )
    except ModelError as error:
        raise ModelError(f"{files.path}/{error}") from None


def _vocabulary(files: ModelFiles) -> Vocabulary:
    try:
        return Vocabulary(files.tokenizer_json)
    except ModelError as error:
        raise ModelError(f"{files.path}/{error}") from None


def find_format(files: ModelFiles, model: Model, infill: Infill) -> tuple[Format, tuple[str, ...]]:
    """The format given by the job, that of its `model.family`, or the one detected for the model.

    Returns:
        The format, with its engine resolved, and warnings about using this model.

    Raises:
        ModelError: the family is unknown or not detected, or the model cannot infill.
    """
    given = infill.format
    if infill.order == PREFIX_ONLY and (given is None or PREFIX_ONLY not in given.layouts):
        return prefix_only_format(end_tokens(files), files.architectures), ()
    if given is not None:
        return given, ()
    if model.family:
        detection = Detection(family_format(model.family), ("model.family",))
    else:
        detection = detect_family(files, model)
    family = detection.family
    engine = family.engine_for(files.architectures)
    return family.model_copy(update={"engine": engine}), detection.warnings


def detect_family(files: ModelFiles, model: Model) -> Detection:
    """Detect a model's family from its name, config and tokenizer.

    Raises:
        ModelError: as `detect`.
    """
    path = str(files.path) if Path(model.path).expanduser().is_dir() else model.path
    names = model_names(path, files.config, model.revision)
    return detect(names, files.config, _vocabulary(files))


def end_tokens(files: ModelFiles) -> list[str]:
    """The texts of the model's own end tokens."""
    vocabulary = _vocabulary(files)
    texts = [vocabulary.text(token_id) for token_id in files.end_ids]
    if files.end_text in vocabulary:
        texts.append(files.end_text)
    return list(dict.fromkeys(text for text in texts if text is not None))
