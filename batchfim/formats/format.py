"""A family's infilling format as data: layouts, sentinels, stops."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from batchfim.errors import ConfigError
from batchfim.formats.rules import StopRule

PREFIX_SLOT = "{prefix}"
SUFFIX_SLOT = "{suffix}"
CONTEXT_SLOT = "{context}"
MASKS_SLOT = "{masks}"
Slot = Literal["prefix", "suffix"]
SLOTS: dict[str, Slot] = {PREFIX_SLOT: "prefix", SUFFIX_SLOT: "suffix"}
EXPANDED_SLOTS = frozenset({CONTEXT_SLOT, MASKS_SLOT})
PREFIX_ONLY = "prefix_only"
AUTO = "auto"
TOKENIZERS_OWN = "{tokenizer}"
FieldName = Literal["path", "repo", "language", "language_name", "text"]
_FIELD = re.compile(rf"\{{({'|'.join(get_args(FieldName))})\}}")


class Text(BaseModel):
    """Literal text in a layout, written `{text: ...}`, which is encoded as text, never looked up.

    In it, `{path}`, `{repo}` and `{language}` stand for the record's, `{language_name}` for the
    language's usual spelling (`C++` for `cpp`), and `{text}`, only in `context_file`, for a context
    file's content. All are filled in one pass, so filled-in text is not searched again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)

    def fields(self) -> set[str]:
        """Names of the fields the text needs."""
        return set(_FIELD.findall(self.text))

    def columns(self) -> set[str]:
        """Names of the record's columns that the fields need."""
        return {name.removesuffix("_name") for name in self.fields()}

    def fill(self, values: dict[str, str]) -> str:
        """The text with its fields filled in."""
        return _FIELD.sub(lambda match: values[match[1]], self.text)


Layout = tuple[str | Text, ...]


class Format(BaseModel):
    """One family's infilling format; a job file may define its own with the same fields.

    A layout is the exact sequence of pieces of a prompt: `{prefix}` and `{suffix}` are the
    record's texts, `{context}` its context files, each laid out by `context_file`, `{masks}` the
    masks to fill, `{text: ...}` literal text; any other piece is a sentinel, looked up by its text
    in the model's tokenizer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = Field("custom", min_length=1)
    layouts: dict[str, Layout] = Field(min_length=1, description="Pieces of each order, by name.")
    order: str = Field(description="The recommended layout.")
    alike: tuple[str, ...] = Field(
        (),
        description="Orders that the models were trained on equally, from which `infill.order: "
        "auto` chooses; among orders that share the same amount, it chooses the first.",
    )
    stops: tuple[str, ...] = Field(min_length=1, description="Tokens that end a middle.")
    more_stops: tuple[str, ...] = Field(
        (),
        description="Tokens that end a middle if the tokenizer has them: sentinels and padding, "
        "with which some models continue until `sampling.max_tokens`.",
    )
    stop_rules: tuple[StopRule, ...] = Field(
        (),
        description="Rules that end a middle regardless of `infill.stop`, because the models "
        "write on.",
    )
    bos: str | None = Field(
        None,
        description="Token put before the layout; `{tokenizer}` for whatever the model's tokenizer "
        "puts before a text. If unset, none.",
    )
    leading_space: tuple[Slot, ...] = Field(
        (),
        description="Texts that get the leading space that SentencePiece tokenizers put before a "
        "text. If a text is joined to other texts before it, the first of them gets it.",
    )
    context_file: Layout = Field((), description="Pieces of one file of `{context}`.")
    mask: str | None = Field(None, description="The token that `{masks}` repeats.")
    context_tokens: int | None = Field(
        None, gt=0, description="Context length. If unset, that of the model's config."
    )
    engine: Literal["vllm", "transformers"] = Field(
        "vllm", description="The engine that can run the models."
    )
    task: Literal["causal", "seq2seq", "masked"] = Field(
        "causal", description="How the model generates a middle."
    )
    model_types: tuple[str, ...] = Field((), description="`model_type` values of config.json.")
    source: str = Field("", description="Where the format is documented.")

    @model_validator(mode="after")
    def _check_layouts(self) -> Format:
        if self.order not in self.layouts:
            raise ValueError(f"order {self.order!r} has no layout; layouts: {list(self.layouts)}")
        unknown = [order for order in self.alike if order not in self.layouts]
        if unknown or AUTO in self.layouts:
            wrong = f"alike has {unknown}" if unknown else f"a layout cannot be named {AUTO!r}"
            raise ValueError(f"{wrong}; layouts: {list(self.layouts)}")
        for order, layout in self.layouts.items():
            for slot in SLOTS if order != PREFIX_ONLY else [PREFIX_SLOT]:
                if layout.count(slot) != 1:
                    raise ValueError(f"layout {order!r} must hold {slot} exactly once")
            self._check_expanded(order, layout)
        return self

    def _check_expanded(self, order: str, layout: Layout) -> None:
        if CONTEXT_SLOT in layout and not self.context_file:
            raise ValueError(f"layout {order!r} holds {CONTEXT_SLOT}, but context_file is not set")
        if MASKS_SLOT in layout and self.mask is None:
            raise ValueError(f"layout {order!r} holds {MASKS_SLOT}, but mask is not set")
        if any("text" in piece.fields() for piece in layout if isinstance(piece, Text)):
            raise ValueError(f"layout {order!r}: {{text}} is only allowed in context_file")
        slots = [piece for piece in self.context_file if piece in {*SLOTS, *EXPANDED_SLOTS}]
        if slots:
            raise ValueError(f"context_file must not hold {slots[0]}: it lays out a single file")

    def orders(self, order: str | None) -> tuple[str, ...]:
        """Orders that a job may use: the given one, the recommended one, or those of `alike`.

        Raises:
            ConfigError: `order` is `auto`, but the format has no two orders in `alike`.
        """
        if order != AUTO:
            return (order or self.order,)
        if len(self.alike) < 2:
            raise ConfigError(
                f"infill.order {AUTO!r}: family {self.family} has no two orders that its models "
                f"are known to be trained on equally; set one of {', '.join(self.layouts)}"
            )
        return self.alike

    def layout(self, order: str) -> Layout:
        """Pieces of one order, BOS included.

        Raises:
            ConfigError: the family lacks the order; the message lists those it has.
        """
        if order not in self.layouts:
            known = ", ".join(self.layouts)
            raise ConfigError(
                f"infill.order {order!r}: unknown for family {self.family}; set one of {known}"
            )
        return (self.bos, *self.layouts[order]) if self.bos else self.layouts[order]

    def with_context_as_prefix(self, order: str) -> Format:
        """The format with one order that has context files as plain text before the prefix.

        Each file is its path on its own line followed by its text. The order keeps its name.

        Raises:
            ConfigError: the family lacks the order.
        """
        self.layout(order)
        layout: list[str | Text] = []
        for piece in self.layouts[order]:
            if piece != CONTEXT_SLOT:
                layout += [CONTEXT_SLOT, piece] if piece == PREFIX_SLOT else [piece]
        changed = self.layouts | {order: tuple(layout)}
        plain = (Text(text="{path}\n{text}\n"),)
        return self.model_copy(update={"layouts": changed, "context_file": plain})

    def fields(self, order: str) -> set[str]:
        """Columns of a record that an order needs besides prefix and suffix: path, context, ..."""
        layout = self.layout(order)
        names = _fields(layout)
        if CONTEXT_SLOT in layout:  # a file brings its own path and text
            names |= {"context"} | (_fields(self.context_file) - {"path", "text"})
        return names

    def sentinels(self, order: str) -> set[str]:
        """The sentinels of one order, as text."""
        return (
            _tokens(self.layout(order))
            | (_tokens(self.context_file) if CONTEXT_SLOT in self.layout(order) else set())
            | ({self.mask} if self.mask and MASKS_SLOT in self.layout(order) else set())
        )

    def fingerprint_fields(self, order: str) -> dict[str, Any]:
        """The parts of the format that determine the output of a job with this order or `auto`.

        A job remains the same job if the catalog gains a layout or recommends another one.
        """
        fields = self.model_dump(include=set(FORMAT_FIELDS))
        return fields | {"layouts": {name: fields["layouts"][name] for name in self.orders(order)}}

    def control_texts(self) -> set[str]:
        """Every sentinel and stop of the format, as text."""
        sentinels = {text for order in self.layouts for text in self.sentinels(order)}
        return sentinels | {*self.stops, *self.more_stops}


# The fields of a format that determine a record's output.
FORMAT_FIELDS = frozenset(Format.model_fields) - {"source", "model_types", "order", "alike"}


def _fields(layout: Layout) -> set[str]:
    return {name for piece in layout if isinstance(piece, Text) for name in piece.columns()}


def _tokens(layout: Layout) -> set[str]:
    texts = {piece for piece in layout if isinstance(piece, str)}
    return texts - set(SLOTS) - EXPANDED_SLOTS - {TOKENIZERS_OWN}
