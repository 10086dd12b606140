"""`engine.args` where Transformers is the engine: a small set, each checked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from batchfim.config_base import Section
from batchfim.config_file import explain
from batchfim.errors import ConfigError

_WHERE = "engine.args, of the Transformers engine"


class TransformersArgs(Section):
    """What may be set of the Transformers engine."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attn_implementation: Literal["eager", "sdpa"] | None = Field(
        None, description="Unset: what transformers chooses for the model."
    )
    max_batch_tokens: int = Field(
        16384, gt=0, description="Tokens in a batch: prompts, padding and what is generated."
    )
    max_padding: float = Field(0.2, ge=0, lt=1, description="Padding's share in a batch's prompts.")


def read_args(args: dict[str, Any]) -> TransformersArgs:
    """Check `engine.args`.

    Raises:
        ConfigError: an unknown name, with the nearest known one, or a value it cannot have.
    """
    try:
        return TransformersArgs.model_validate(args)
    except ValidationError as error:
        raise ConfigError(explain(error, _WHERE, TransformersArgs)) from None
