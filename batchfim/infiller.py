"""Everything between a record and token ids for one job: model files, format, encoder, finisher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchfim.config import JobConfig, Truncation
from batchfim.errors import ConfigError, ModelError
from batchfim.formats.detect import detect_format, family_format
from batchfim.formats.encoder import Encoder
from batchfim.formats.finishing import Finisher
from batchfim.formats.format import Format
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.storage.model_files import ModelFiles, find_model


@dataclass(frozen=True)
class Infiller:
    """How this job's records become prompts and its generations middles."""

    files: ModelFiles
    tokenizer: TextTokenizer
    encoder: Encoder
    finisher: Finisher
    max_model_len: int | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the ledger and the summary say of the model."""
        return {
            "path": str(self.files.path),
            "digest": self.files.digest(),
            "family": self.encoder.form.family,
            "order": self.encoder.order,
            "max_model_len": self.max_model_len,
        }


def open_infiller(config: JobConfig, *, weights: bool) -> Infiller:
    """Find the model and build its encoder.

    Args:
        config: the job.
        weights: fetch the weights too (a worker), or only what a prompt needs.

    Raises:
        ModelError, ConfigError: as `find_model`, `detect_format` and `Encoder` say; a masked model
            without a number of masks.
    """
    files = find_model(config.model, weights=weights)
    form = config.infill.format or find_format(files, config.model.family)
    tokenizer = TextTokenizer(files.tokenizer_json, form.control_texts())
    max_model_len = config.engine.max_model_len or files.context_tokens or form.context_tokens
    truncation: Truncation = config.infill.truncation
    encoder = Encoder(
        form,
        config.infill.order,
        tokenizer,
        max_prompt_tokens=max_model_len and max_model_len - _tokens_beside(files, form, config),
        truncate=truncation.enabled,
        prefix_share=truncation.prefix_share,
    )
    if form.task == "masked" and encoder.form.hole(encoder.order) is None:
        raise ModelError(
            f"family {form.family}, order {encoder.order}: a masked model's layout needs one "
            "sentinel, its mask, between prefix and suffix"
        )
    finisher = Finisher(tokenizer, encoder.stop_token_ids)
    return Infiller(files, tokenizer, encoder, finisher, max_model_len)


def _tokens_beside(files: ModelFiles, form: Format, config: JobConfig) -> int:
    """Tokens of the context that the prompt must leave free."""
    if form.task == "masked":
        if config.infill.masks is None:
            raise ConfigError(
                f"family {form.family} fills a given number of masks, one token each: set "
                "infill.masks"
            )
        return config.infill.masks
    # T5's decoder counts its positions from its own start. So does Bart's, but there it begins
    # with the prefix; and UniXcoder is one stack for both.
    decoder_is_apart = form.task == "seq2seq" and files.config.get("model_type") == "t5"
    return 1 if decoder_is_apart else config.sampling.max_tokens


def find_format(files: ModelFiles, family: str | None) -> Format:
    """The named family's format, or the one the model's files speak for.

    Raises:
        ModelError: unknown family, or none can be told.
    """
    if family is not None:
        return family_format(family)
    return detect_format(files.config, TextTokenizer(files.tokenizer_json))
