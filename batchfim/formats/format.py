"""A family's infilling format as data: layouts, sentinels, stops."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from batchfim.errors import ConfigError
from batchfim.formats.stopping import StopRule

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
    """Literal text in a layout, written `{text: ...}`. It is encoded as text, never looked up.

    `{path}`, `{repo}`, `{language}` in it stand for the record's own, `{language_name}` for how
    people write that language (`C++` for `cpp`); `{text}`, in `context_file` alone, for a context
    file's content. They are filled in one pass, so what is filled in is not
    looked through again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)

    def fields(self) -> set[str]:
        """Names of the fields the text needs."""
        return set(_FIELD.findall(self.text))

    def columns(self) -> set[str]:
        """What of a record these are made of."""
        return {name.removesuffix("_name") for name in self.fields()}

    def fill(self, values: dict[str, str]) -> str:
        """The text with its fields filled in."""
        return _FIELD.sub(lambda match: values[match[1]], self.text)


Layout = tuple[str | Text, ...]


class Format(BaseModel):
    """One family's infilling format. A job file may give its own, with the same fields.

    A layout is the exact sequence of pieces of a prompt: `{prefix}` and `{suffix}` are the
    record's texts, `{context}` its other files, each written as `context_file` says, `{masks}` the
    masks to fill, `{text: ...}` literal text; any other piece is a sentinel, looked up by its text
    in the model's tokenizer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = Field("custom", min_length=1)
    layouts: dict[str, Layout] = Field(min_length=1, description="Order name to pieces.")
    order: str = Field(description="The recommended layout.")
    alike: tuple[str, ...] = Field(
        (),
        description="Orders the models were trained on alike, of which `infill.order: auto` may "
        "choose; of those that share as much, the first.",
    )
    stops: tuple[str, ...] = Field(min_length=1, description="Tokens that end a middle.")
    more_stops: tuple[str, ...] = Field(
        (),
        description="Tokens that end a middle where the tokenizer has them: sentinels and padding, "
        "which some models write on with until `sampling.max_tokens`.",
    )
    stop_rules: tuple[StopRule, ...] = Field(
        (),
        description="Rules that end a middle, whatever `infill.stop` says: the model writes on.",
    )
    bos: str | None = Field(
        None,
        description="Token put before the layout; `{tokenizer}`: what the model's tokenizer puts "
        "before a text; unset: none.",
    )
    leading_space: tuple[Slot, ...] = Field(
        (),
        description="Texts that get the space which SentencePiece tokenizers put before a text; "
        "the others do not. Of texts that run into one it is the first that gets it.",
    )
    context_file: Layout = Field((), description="Pieces of one file of `{context}`.")
    mask: str | None = Field(None, description="The token that `{masks}` repeats.")
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
        unknown = [order for order in self.alike if order not in self.layouts]
        if unknown or AUTO in self.layouts:
            wrong = f"alike names {unknown}" if unknown else f"{AUTO!r} is no name for a layout"
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
            raise ValueError(f"layout {order!r}: {{text}} is for context_file alone")
        slots = [piece for piece in self.context_file if piece in {*SLOTS, *EXPANDED_SLOTS}]
        if slots:
            raise ValueError(f"context_file is one file's pieces, {slots[0]} is none of them")

    def orders(self, order: str | None) -> tuple[str, ...]:
        """The orders a job may use: the one asked for, the recommended one, or those alike.

        Raises:
            ConfigError: `auto`, where no two orders are known to be alike.
        """
        if order != AUTO:
            return (order or self.order,)
        if len(self.alike) < 2:
            raise ConfigError(
                f"infill.order {AUTO!r}: family {self.family} has no two orders that its models "
                f"are known to be trained on alike; name one of {', '.join(self.layouts)}"
            )
        return self.alike

    def layout(self, order: str) -> Layout:
        """Pieces of one order, BOS included.

        Raises:
            ConfigError: the family lacks the order; the message lists those it has.
        """
        if order not in self.layouts:
            known = ", ".join(self.layouts)
            raise ConfigError(f"infill.order {order!r}: family {self.family} has {known}")
        return (self.bos, *self.layouts[order]) if self.bos else self.layouts[order]

    def with_context_as_prefix(self, order: str) -> Format:
        """The format in which one order has context files as plain text before the prefix.

        Each file is its path on a line of its own and its text, the plainest form there is. The
        order keeps its name.

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
        """What an order needs of a record besides prefix and suffix: path, repo, context, ..."""
        layout = self.layout(order)
        names = _fields(layout)
        if CONTEXT_SLOT in layout:  # a file brings its own path and text
            names |= {"context"} | (_fields(self.context_file) - {"path", "text"})
        return names

    def sentinels(self, order: str) -> set[str]:
        """The sentinels that one order is built of, as text."""
        return (
            _tokens(self.layout(order))
            | (_tokens(self.context_file) if CONTEXT_SLOT in self.layout(order) else set())
            | ({self.mask} if self.mask and MASKS_SLOT in self.layout(order) else set())
        )

    def fingerprint_fields(self, order: str) -> dict[str, Any]:
        """What of the format decides a record's output in a job of this order, `auto` included.

        A layout that the catalog gains, or another recommended one, makes no other job of it.
        """
        fields = self.model_dump(include=set(FORMAT_FIELDS))
        return fields | {"layouts": {name: fields["layouts"][name] for name in self.orders(order)}}

    def control_texts(self) -> set[str]:
        """Every sentinel and stop of the format, as text."""
        sentinels = {text for order in self.layouts for text in self.sentinels(order)}
        return sentinels | {*self.stops, *self.more_stops}


# What of a format decides a record's output; what the catalog says beside it does not.
FORMAT_FIELDS = frozenset(Format.model_fields) - {"source", "model_types", "order", "alike"}


def _fields(layout: Layout) -> set[str]:
    return {name for piece in layout if isinstance(piece, Text) for name in piece.columns()}


def _tokens(layout: Layout) -> set[str]:
    texts = {piece for piece in layout if isinstance(piece, str)}
    return texts - set(SLOTS) - EXPANDED_SLOTS - {TOKENIZERS_OWN}
