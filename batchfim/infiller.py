"""Everything between a record and token ids for one job: model files, format, encoder, finisher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from batchfim.config import JobConfig, Truncation
from batchfim.errors import ModelError
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

    def fingerprint_fields(self) -> dict[str, Any]:
        """What of the model and the format decides a record's output."""
        return {
            "model digest": self.files.digest(),
            "format": self.encoder.form.model_dump(exclude={"source"}),
            "order": self.encoder.order,
            "context": self.max_model_len,
        }

    def pin_revision(self, config: JobConfig) -> JobConfig:
        """The same job with the model id's revision fixed, so that all workers load the same."""
        if self.files.revision is None:
            return config
        model = config.model.model_copy(update={"revision": self.files.revision})
        return config.model_copy(update={"model": model})

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
        ModelError, ConfigError: as `find_model`, `detect_format` and `Encoder` say.
    """
    files = find_model(config.model, weights=weights)
    form = config.infill.format or find_format(files, config.model.family)
    tokenizer = _tokenizer(files, form.control_texts())
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
    finisher = Finisher(
        tokenizer, encoder.stop_token_ids, stop=config.infill.stop, trim=config.infill.trim
    )
    return Infiller(files, tokenizer, encoder, finisher, max_model_len)


def _tokens_beside(files: ModelFiles, form: Format, config: JobConfig) -> int:
    """Tokens of the context that the prompt must leave free.

    A masked model's middle is in its prompt, and T5's decoder counts its positions from its own
    start. So does Bart's, but there it begins with the prefix; and UniXcoder is one stack for both.
    """
    is_t5 = form.task == "seq2seq" and files.config.get("model_type") == "t5"
    return 0 if form.task == "masked" or is_t5 else config.sampling.max_tokens


def find_format(files: ModelFiles, family: str | None) -> Format:
    """The named family's format, or the one the model's files speak for.

    Raises:
        ModelError: unknown family, or none can be told.
    """
    if family is not None:
        return family_format(family)
    return detect_format(files.config, _tokenizer(files, ()))


def _tokenizer(files: ModelFiles, control_texts: Iterable[str]) -> TextTokenizer:
    try:
        return TextTokenizer(files.tokenizer_json, control_texts)
    except ModelError as error:
        raise ModelError(f"{files.path}/{error}") from None
