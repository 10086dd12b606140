"""A family's infilling format as data: layouts, sentinels, stops."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from batchfim.errors import ConfigError

PREFIX_SLOT = "{prefix}"
SUFFIX_SLOT = "{suffix}"
Slot = Literal["prefix", "suffix"]
SLOTS: dict[str, Slot] = {PREFIX_SLOT: "prefix", SUFFIX_SLOT: "suffix"}


class Format(BaseModel):
    """One family's infilling format. A job file may give its own, with the same fields.

    A layout is the exact sequence of pieces of a prompt: `{prefix}` and `{suffix}` are the
    record's texts, any other piece is a sentinel, looked up by its text in the model's tokenizer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = Field("custom", min_length=1)
    layouts: dict[str, tuple[str, ...]] = Field(min_length=1, description="Order name to pieces.")
    order: str = Field(description="The recommended layout.")
    stops: tuple[str, ...] = Field(min_length=1, description="Tokens that end a middle.")
    bos: str | None = Field(None, description="Token put before the layout; unset: none.")
    context_tokens: int | None = Field(None, gt=0, description="Unset: the model config's.")
    engine: Literal["vllm", "transformers"] = Field("vllm", description="What can run the models.")
    task: Literal["causal", "seq2seq", "masked"] = Field(
        "causal", description="How the model makes a middle."
    )
    model_types: tuple[str, ...] = Field((), description="`model_type` values of config.json.")
    source: str = Field("", description="Where the format is documented.")

    @model_validator(mode="after")
    def _check_layouts(self) -> Format:
        if self.order not in self.layouts:
            raise ValueError(f"order {self.order!r} has no layout; layouts: {list(self.layouts)}")
        for order, layout in self.layouts.items():
            for slot in SLOTS:
                if layout.count(slot) != 1:
                    raise ValueError(f"layout {order!r} must hold {slot} exactly once")
        return self

    def layout(self, order: str) -> tuple[str, ...]:
        """Pieces of one order, BOS included.

        Raises:
            ConfigError: the family lacks the order; the message lists those it has.
        """
        if order not in self.layouts:
            known = ", ".join(self.layouts)
            raise ConfigError(f"infill.order {order!r}: family {self.family} has {known}")
        return (self.bos, *self.layouts[order]) if self.bos else self.layouts[order]

    def control_texts(self) -> set[str]:
        """Every sentinel and stop of the format, as text."""
        pieces = {piece for layout in self.layouts.values() for piece in layout}
        return (pieces | set(self.stops) | ({self.bos} if self.bos else set())) - set(SLOTS)
