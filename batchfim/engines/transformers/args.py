"""`engine.args` of the Transformers engine: a small, validated set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from batchfim.config.base import Section
from batchfim.config.files import explain
from batchfim.errors import ConfigError

_WHERE = "engine.args of the Transformers engine"


class TransformersArgs(Section):
    """Arguments of the Transformers engine."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attn_implementation: Literal["eager", "sdpa"] | None = Field(
        None, description="Attention implementation; unset: transformers' choice for the model."
    )
    max_batch_tokens: int = Field(
        16384, gt=0, description="Most tokens in a batch: prompts, padding and generated tokens."
    )
    max_padding: float = Field(
        0.2, ge=0, lt=1, description="Largest share of padding in a batch's prompts."
    )


def read_args(args: dict[str, Any]) -> TransformersArgs:
    """Check `engine.args`.

    Raises:
        ConfigError: a name is unknown (the message has the closest known one), or a value invalid.
    """
    try:
        return TransformersArgs.model_validate(args)
    except ValidationError as error:
        raise ConfigError(explain(error, _WHERE, TransformersArgs)) from None
