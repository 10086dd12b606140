"""Encode records as prompts, which are built as lists of token ids, never as strings."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from batchfim.errors import ConfigError
from batchfim.formats.budget import files_dropped, split_budget
from batchfim.formats.chunking import batches
from batchfim.formats.format import CONTEXT_SLOT, SUFFIX_SLOT, Format, Slot, Text
from batchfim.formats.languages import usual_name
from batchfim.formats.layouts import (
    Blank,
    CompiledPiece,
    FixedText,
    Token,
    compile_layout,
    look_up,
    text_spans,
    with_deferred_text,
)
from batchfim.formats.tokenizer import Ids, TextTokenizer
from batchfim.surroundings import NOWHERE, ContextFile, Surroundings


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a prompt: a sentinel, a slot's text, or literal text of the layout."""

    kind: Literal["sentinel", "prefix", "suffix", "text"]
    text: str
    token_ids: Ids


@dataclass(frozen=True, slots=True)
class Prompt:
    """A record's prompt, and what was cut to make it fit.

    `normalized` tells whether the tokenizer changed the record's text before the model saw it
    (Unicode normalization, U+2581 turned into a space, an unknown character). Ids are packed, four
    bytes each, because a shard in flight holds millions of them.
    """

    token_ids: array[int]
    truncated_prefix_tokens: int = 0
    truncated_suffix_tokens: int = 0
    truncated_context_tokens: int = 0
    order: str = ""
    normalized: bool = False


@dataclass(frozen=True, slots=True)
class TooLong:
    """A record whose prompt does not fit: truncation is off, or it leaves no room for the path."""

    prompt_tokens: int
    budget_tokens: int
    truncates: bool  # truncation is on, but was not enough


Filled = list[list[Piece]]  # pieces of each part, those of context files in a row


class Encoder:
    """Builds the prompts of one format and order for one model's tokenizer."""

    def __init__(
        self,
        form: Format,
        order: str | None,
        tokenizer: TextTokenizer,
        *,
        max_prompt_tokens: int | None = None,
        truncate: bool = True,
        prefix_share: float = 0.75,
        align: int = 1,
        masks: int | None = None,
    ) -> None:
        """Look up every sentinel once.

        Args:
            form: the family's format.
            order: name of a layout, or None for the recommended one.
            tokenizer: the model's tokenizer.
            max_prompt_tokens: context length minus the tokens to generate; None for no limit.
            truncate: truncate long records; otherwise they become `TooLong`.
            prefix_share: share of the budget for the prefix, 0 to 1.
            align: cut prefixes at multiples of this many tokens.
            masks: number of masks that stand for a hole, for families that fill masks.

        Raises:
            ModelError: the tokenizer lacks sentinels or stops; the message lists them.
            ConfigError: the family lacks the order, or there is no room for a prompt or for any
                tokens of a truncated prefix.
        """
        self.form = form
        self.order = order or form.order
        self.layout = form.layout(self.order)
        self._tokenizer = tokenizer
        ids = look_up(form, self.order, tokenizer)
        stops = [*form.stops, *form.more_stops]
        self.stop_token_ids = tuple(dict.fromkeys(ids[stop] for stop in stops if stop in ids))
        parts = compile_layout(self.layout, form, ids, tokenizer, masks)
        self._file_parts: tuple[CompiledPiece, ...] = ()
        if CONTEXT_SLOT in self.layout:
            self._file_parts = compile_layout(form.context_file, form, ids, tokenizer, masks)
        spans = text_spans(parts, form.leading_space)
        self._parts = with_deferred_text(parts, spans)
        # Slots that always get the space; spans in which the record decides; each slot's part. In
        # the example at the top of `layouts`: {"suffix"}, [range(3, 6)] and
        # {"suffix": 1, "context": 3, "prefix": 5}.
        self._spaced = {slot for slot, span in spans.items() if len(span) == 1}
        self._joined = [span for span in spans.values() if len(span) > 1]
        self._places = {part.slot: at for at, part in enumerate(parts) if isinstance(part, Blank)}
        self._truncate = truncate
        self._prefix_share = prefix_share
        self._align = align
        self._limit = max_prompt_tokens
        fixed = [_piece(part) for part in self._parts if isinstance(part, Token | FixedText)]
        self.num_sentinels = _size(fixed)
        if max_prompt_tokens is not None:
            self._check_room(max_prompt_tokens - self.num_sentinels)

    def _check_room(self, budget: int) -> None:
        if budget < 1:
            raise ConfigError(
                "sampling.max_tokens leaves no room in the context for a prompt with its "
                f"{self.num_sentinels} sentinels; lower it or raise engine.max_model_len"
            )
        most = int(budget * self._prefix_share)
        if self._truncate and 1 < self._align > most:
            raise ConfigError(
                f"infill.truncation.align {self._align} would leave nothing of a truncated prefix, "
                f"which gets {most} tokens of the context; set it to {most} at most"
            )

    def encode(
        self,
        prefixes: Sequence[str],
        suffixes: Sequence[str],
        surroundings: Sequence[Surroundings] | None = None,
    ) -> list[Prompt | TooLong]:
        """Encode some records to prompts, in order.

        The tokenizer is called with about a quarter million characters at a time, because its
        result takes some hundred bytes per token until the ids are extracted.
        """
        prompts: list[Prompt | TooLong] = []
        if SUFFIX_SLOT not in self.layout:
            suffixes = [""] * len(prefixes)
        for start, end in batches(prefixes, suffixes):
            sides = prefixes[start:end], suffixes[start:end]
            around = surroundings[start:end] if surroundings else [NOWHERE] * (end - start)
            prompts += map(self._fit, *sides, *self._encode_sides(*sides), around)
        return prompts

    def pieces(self, prefix: str, suffix: str, around: Surroundings = NOWHERE) -> list[Piece]:
        """The pieces of one record's prompt, untruncated, as `batchfim prompt` shows them."""
        (before,), (after,) = self._encode_sides([prefix], [suffix])
        filled = self._fill(_slots(prefix, suffix, before, after), around)
        self._put(filled, self._files(around))
        return [*chain(*filled)]

    def _encode_sides(
        self, prefixes: Sequence[str], suffixes: Sequence[str]
    ) -> tuple[list[Ids], list[Ids]]:
        if SUFFIX_SLOT not in self.layout:
            suffixes = [""] * len(prefixes)
        spaces = ["prefix" in self._spaced, "suffix" in self._spaced]
        if spaces[0] != spaces[1]:
            before = self._tokenizer.encode(prefixes, leading_space=spaces[0])
            return before, self._tokenizer.encode(suffixes, leading_space=spaces[1])
        both = self._tokenizer.encode([*prefixes, *suffixes], leading_space=spaces[0])
        return both[: len(prefixes)], both[len(prefixes) :]

    def _fill(self, sides: dict[str, Piece], around: Surroundings) -> Filled:
        filled: Filled = []
        for part in self._parts:
            if isinstance(part, Blank):
                filled.append([sides[part.slot]] if part.slot in sides else [])
            elif isinstance(part, Text):
                filled.append([self._text_piece(part, _values(around))])
            else:
                filled.append([_piece(part)])
        return filled

    def _files(self, around: Surroundings) -> list[list[Piece]]:
        """Pieces of each context file; empty if the layout has no place for them."""
        if not self._file_parts:
            return []
        return [self._file_pieces(file, _values(around)) for file in around.context]

    def _file_pieces(self, file: ContextFile, fields: dict[str, str]) -> list[Piece]:
        fields = fields | {"path": file.path, "text": file.text}
        return [
            self._text_piece(part, fields) if isinstance(part, Text) else _piece(part)
            for part in self._file_parts
            if not isinstance(part, Blank)
        ]

    def _text_piece(self, part: Text, fields: dict[str, str]) -> Piece:
        text = part.fill(fields)
        return Piece("text", text, self._tokenizer.encode([text])[0])

    def _put(self, filled: Filled, files: list[list[Piece]]) -> None:
        """Put context files into their place, and a space before the first text of each span."""
        if "context" in self._places:
            filled[self._places["context"]] = [*chain(*files)]
        for span in self._joined:
            self._open_span([(filled[at], i) for at in span for i in range(len(filled[at]))])

    def _open_span(self, span: list[tuple[list[Piece], int]]) -> None:
        """Encode again, with a leading space, the first text after the span's last sentinel."""
        first: tuple[list[Piece], int] | None = None
        for pieces, i in span:
            if pieces[i].kind == "sentinel":
                first = None
            elif first is None and pieces[i].text:
                first = pieces, i
        if first is not None:
            pieces, i = first
            (ids,) = self._tokenizer.encode([pieces[i].text], leading_space=True)
            pieces[i] = replace(pieces[i], token_ids=ids)

    def _fit(
        self, prefix: str, suffix: str, before: Ids, after: Ids, around: Surroundings
    ) -> Prompt | TooLong:
        filled = self._fill(_slots(prefix, suffix, before, after), around)
        files = self._files(around)
        whole = _size(chain(*filled, *files))
        changed = any(map(self._is_changed, chain(*filled, *files)))
        dropped = self._drop_files(filled, files)
        cut = (0, 0)
        if (over := self._over(filled)) > 0:
            if not self._truncate or over >= sum(map(len, self._sides(filled))):
                return TooLong(whole, self._limit or 0, self._truncate)
            cut = self._cut(filled, over)
        token_ids = array("I")
        for piece in chain(*filled):
            token_ids.extend(piece.token_ids)
        return Prompt(
            token_ids,
            *cut,
            _size(chain(*files[:dropped])),
            self.order,
            changed,
        )

    def _is_changed(self, piece: Piece) -> bool:
        is_text = piece.kind != "sentinel"
        return is_text and self._tokenizer.changed(piece.text, piece.token_ids)

    def _over(self, filled: Filled) -> int:
        """Number of tokens beyond the limit."""
        return 0 if self._limit is None else _size(chain(*filled)) - self._limit

    def _drop_files(self, filled: Filled, files: list[list[Piece]]) -> int:
        """Put in the context files that fit, and return the number of those dropped."""
        dropped = 0
        self._put(filled, files)
        while self._truncate and dropped < len(files) and (over := self._over(filled)) > 0:
            sizes = [_size(file) for file in files[dropped:]]
            dropped += files_dropped(sizes, sum(sizes) - over)
            self._put(filled, files[dropped:])
        return dropped

    def _cut(self, filled: Filled, over: int) -> tuple[int, int]:
        """Cut the two sides so that the prompt fits, and return the tokens cut from each."""
        before, after = self._sides(filled)
        room = len(before) + len(after) - over
        keep = split_budget(len(before), len(after), room, self._prefix_share, self._align)
        if keep[0] < len(before):
            self._replace(filled, "prefix", self._tokenizer.cut_start(before, keep[0]))
        if keep[1] < len(after):
            self._replace(filled, "suffix", self._tokenizer.cut_end(after, keep[1]))
        kept = self._sides(filled)
        return len(before) - len(kept[0]), len(after) - len(kept[1])

    def _sides(self, filled: Filled) -> tuple[Ids, Ids]:
        at = self._places
        before = filled[at["prefix"]][0].token_ids
        return before, filled[at["suffix"]][0].token_ids if "suffix" in at else ()

    def _replace(self, filled: Filled, slot: Slot, ids: Ids) -> None:
        at = self._places[slot]
        filled[at] = [replace(filled[at][0], token_ids=ids)]


def _values(around: Surroundings) -> dict[str, str]:
    """Values of `{path}`, `{repo}`, `{language}` and `{language_name}` in layouts."""
    return {
        "path": around.path,
        "repo": around.repo,
        "language": around.language,
        "language_name": usual_name(around.language),
    }


def _piece(part: Token | FixedText) -> Piece:
    """Piece of a part that is the same in every prompt."""
    if isinstance(part, Token):
        return Piece("sentinel", part.text, [part.token_id])
    return Piece("text", part.text, list(part.token_ids))


def _slots(prefix: str, suffix: str, before: Ids, after: Ids) -> dict[str, Piece]:
    return {"prefix": Piece("prefix", prefix, before), "suffix": Piece("suffix", suffix, after)}


def _size(pieces: Iterable[Piece]) -> int:
    return sum(len(piece.token_ids) for piece in pieces)
