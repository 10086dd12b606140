"""Compile a format's layout for one model's tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchfim.errors import ConfigError, ModelError
from batchfim.formats.format import (
    CONTEXT_SLOT,
    MASKS_SLOT,
    SLOTS,
    TOKENIZERS_OWN,
    Format,
    Layout,
    Slot,
    Text,
)
from batchfim.formats.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True)
class Token:
    """A sentinel and its id."""

    text: str
    token_id: int


@dataclass(frozen=True, slots=True)
class FixedText:
    """Literal text and its ids."""

    text: str
    token_ids: tuple[int, ...]


# A str is the name of a slot: prefix, suffix, context. A Text still has fields to fill.
CompiledPiece = Token | FixedText | Text | str


def look_up(form: Format, order: str, tokenizer: TextTokenizer) -> dict[str, int]:
    """Ids of an order's sentinels and of the format's stops, by text.

    Raises:
        ModelError: the tokenizer lacks some; the message lists them.
    """
    wanted = form.sentinels(order) | set(form.stops)
    missing = sorted(text for text in wanted if text not in tokenizer)
    if missing:
        raise ModelError(
            f"family {form.family}: the model's tokenizer has no {', '.join(map(repr, missing))}; "
            "check model.family, and that this model was trained to infill"
        )
    wanted |= {text for text in form.more_stops if text in tokenizer}
    return {text: tokenizer.token_id(text) for text in wanted}


def compile_layout(
    layout: Layout, form: Format, ids: dict[str, int], tokenizer: TextTokenizer, masks: int | None
) -> tuple[CompiledPiece, ...]:
    """The parts of a prompt, in order, looked up and encoded as far as possible.

    Raises:
        ConfigError: the layout has masks, but their number was not given.
    """
    parts: list[CompiledPiece] = []
    for piece in layout:
        if isinstance(piece, Text):
            parts.append(_text(piece, tokenizer))
        elif piece in SLOTS or piece == CONTEXT_SLOT:
            parts.append(piece.strip("{}"))
        elif piece == TOKENIZERS_OWN:
            parts += [Token(text, tokenizer.token_id(text)) for text in tokenizer.own_prefix()]
        elif piece == MASKS_SLOT:
            if masks is None or form.mask is None:
                raise ConfigError(
                    f"family {form.family} fills a given number of masks; set infill.masks"
                )
            parts += [Token(form.mask, ids[form.mask])] * masks
        else:
            parts.append(Token(piece, ids[piece]))
    return tuple(parts)


def text_spans(parts: Sequence[CompiledPiece], slots: Sequence[Slot]) -> list[range]:
    """For each slot, the range of parts whose texts are contiguous with it and before it.

    The slot is the last of the range; slots that the prompt lacks are left out. Context files count
    as text, although they may have sentinels.

    Args:
        parts: the parts of a prompt.
        slots: their text, or the first text of their span, gets SentencePiece's leading space.
    """
    spans = []
    for slot in slots:
        if slot in parts:
            end = start = parts.index(slot)
            while start and _is_text(parts[start - 1]):
                start -= 1
            spans.append(range(start, end + 1))
    return spans


def with_deferred_text(
    parts: Sequence[CompiledPiece], spans: Sequence[range]
) -> tuple[CompiledPiece, ...]:
    """The parts, with literal text in spans changed to be encoded for each record.

    Whether such a text gets the space depends on whether the record has context files.
    """
    inside = {at for span in spans for at in span}
    return tuple(
        Text(text=part.text) if at in inside and isinstance(part, FixedText) else part
        for at, part in enumerate(parts)
    )


def _is_text(part: CompiledPiece) -> bool:
    return part == "context" or isinstance(part, FixedText | Text)


def _text(piece: Text, tokenizer: TextTokenizer) -> CompiledPiece:
    if piece.fields():
        return piece
    (ids,) = tokenizer.encode([piece.text])
    return FixedText(piece.text, tuple(ids))
