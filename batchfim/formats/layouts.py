"""Compile a format's layout for one model's tokenizer, once for all records.

An example, of a format whose suffix and prefix get SentencePiece's leading space. The layout

    "[SUFFIX]", "{suffix}", "[PREFIX]", "{context}", Text("# main"), "{prefix}"

is compiled to these parts:

    0  Token("[SUFFIX]", 7)      a sentinel, the same in every prompt
    1  Blank("suffix")           filled with the record's suffix
    2  Token("[PREFIX]", 6)
    3  Blank("context")          filled with the record's context files, perhaps none
    4  FixedText("# main", ids)  encoded already, as it has no fields to fill
    5  Blank("prefix")

The spans tell where the space may go: {"suffix": range(1, 2), "prefix": range(3, 6)}.

The suffix comes right after a sentinel, so it always gets the space. The prefix continues the texts
before it, and the space goes to the first of them: a file's or, in a record without files,
"# main". Part 4 thus becomes a Text again, which is encoded for each record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from batchfim.errors import ConfigError, ModelError
from batchfim.formats.format import (
    CONTEXT_SLOT,
    MASKS_SLOT,
    PREFIX_SLOT,
    SUFFIX_SLOT,
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


@dataclass(frozen=True, slots=True)
class Blank:
    """The place of a slot, which each record fills with its own text or files."""

    slot: Slot | Literal["context"]


# A Text still has fields to fill.
CompiledPiece = Token | FixedText | Text | Blank
_BLANKS = {
    PREFIX_SLOT: Blank("prefix"),
    SUFFIX_SLOT: Blank("suffix"),
    CONTEXT_SLOT: Blank("context"),
}


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
        elif piece in _BLANKS:
            parts.append(_BLANKS[piece])
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


def text_spans(parts: Sequence[CompiledPiece], slots: Sequence[Slot]) -> dict[Slot, range]:
    """For each slot, the range of parts whose texts are contiguous with it and before it.

    The slot's blank is the last of the range; slots that the prompt lacks are left out. Context
    files count as text, although they may have sentinels.

    Args:
        parts: the parts of a prompt.
        slots: their text, or the first text of their span, gets SentencePiece's leading space.
    """
    spans = {}
    for slot in slots:
        if Blank(slot) in parts:
            end = start = parts.index(Blank(slot))
            while start and _is_text(parts[start - 1]):
                start -= 1
            spans[slot] = range(start, end + 1)
    return spans


def with_deferred_text(
    parts: Sequence[CompiledPiece], spans: Mapping[Slot, range]
) -> tuple[CompiledPiece, ...]:
    """The parts, with literal text in spans changed to be encoded for each record.

    Whether such a text gets the space depends on whether the record has context files.
    """
    inside = {at for span in spans.values() for at in span}
    return tuple(
        Text(text=part.text) if at in inside and isinstance(part, FixedText) else part
        for at, part in enumerate(parts)
    )


def _is_text(part: CompiledPiece) -> bool:
    return part == Blank("context") or isinstance(part, FixedText | Text)


def _text(piece: Text, tokenizer: TextTokenizer) -> CompiledPiece:
    if piece.fields():
        return piece
    (ids,) = tokenizer.encode([piece.text])
    return FixedText(piece.text, tuple(ids))
