"""Record → token ids. Prompts are built as lists of ids, never as strings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from batchfim.errors import ConfigError
from batchfim.formats.budget import files_dropped, split_budget
from batchfim.formats.chunking import batches
from batchfim.formats.format import CONTEXT_SLOT, SUFFIX_SLOT, Format, Slot, Text
from batchfim.formats.layouts import FixedText, Part, Token, compile_layout, look_up
from batchfim.formats.tokenizer import Ids, TextTokenizer
from batchfim.surroundings import NOWHERE, ContextFile, Surroundings


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a prompt: a sentinel, the ids of a slot's text, or of the layout's own text."""

    kind: Literal["sentinel", "prefix", "suffix", "text"]
    text: str
    token_ids: list[int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A record's prompt, and what was cut to make it fit.

    `normalized`: the tokenizer changed the record's text (Unicode normalization, U+2581 made a
    space, a character it lacks) before the model saw it.

    The ids are packed, four bytes each: a shard in hand holds millions of them.
    """

    token_ids: array[int]
    truncated_prefix_tokens: int = 0
    truncated_suffix_tokens: int = 0
    truncated_context_tokens: int = 0
    order: str = ""
    normalized: bool = False


@dataclass(frozen=True, slots=True)
class TooLong:
    """A record whose prompt does not fit, with truncation off or no room for its path."""

    prompt_tokens: int
    budget_tokens: int
    truncates: bool  # and yet it has no room


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
        """Look every sentinel up once.

        Args:
            form: the family's format.
            order: name of a layout, or None for the recommended one.
            tokenizer: the model's.
            max_prompt_tokens: context less the tokens to generate; None: no limit.
            truncate: cut long records; otherwise they come back as `TooLong`.
            prefix_share: share of the budget that goes to the prefix, 0 to 1.
            align: cut prefixes at multiples of so many tokens.
            masks: how many masks a record's hole becomes, for families that fill masks.

        Raises:
            ModelError: sentinels or stops the tokenizer lacks, named.
            ConfigError: an order the family lacks, or no room for a prompt at all.
        """
        self.form = form
        self.order = order or form.order
        self.layout = form.layout(self.order)
        self._tokenizer = tokenizer
        ids = look_up(form, self.order, tokenizer)
        stops = [*form.stops, *form.more_stops]
        self.stop_token_ids = tuple(dict.fromkeys(ids[stop] for stop in stops if stop in ids))
        self._parts = compile_layout(self.layout, form, ids, tokenizer, masks)
        self._file_parts: tuple[Part, ...] = ()
        if CONTEXT_SLOT in self.layout:
            self._file_parts = compile_layout(form.context_file, form, ids, tokenizer, masks)
        self._texts = tuple(part for part in self._parts if isinstance(part, Text))
        self._truncate = truncate
        self._prefix_share = prefix_share
        self._align = align
        self.num_sentinels = sum(len(_fixed(part)) for part in self._parts)
        self._budget = None if max_prompt_tokens is None else max_prompt_tokens - self.num_sentinels
        if self._budget is not None and self._budget < 1:
            raise ConfigError(
                "sampling.max_tokens leaves no room in the context for a prompt with its "
                f"{self.num_sentinels} sentinels; lower it, or raise engine.max_model_len"
            )

    def encode(
        self,
        prefixes: Sequence[str],
        suffixes: Sequence[str],
        surroundings: Sequence[Surroundings] | None = None,
    ) -> list[Prompt | TooLong]:
        """Prompts of some records, in order.

        The tokenizer is called with about a quarter million characters at a time: what it returns
        takes some hundred bytes a token until the ids are taken out of it.
        """
        prompts: list[Prompt | TooLong] = []
        if SUFFIX_SLOT not in self.layout:
            suffixes = [""] * len(prefixes)
        for start, end in batches(prefixes, suffixes):
            sides = prefixes[start:end], suffixes[start:end]
            before, after = self._encode_sides(*sides)
            around = surroundings[start:end] if surroundings else [NOWHERE] * (end - start)
            changed = map(self._is_changed, *sides, before, after)
            prompts += map(self._fit, before, after, around, changed)
        return prompts

    def pieces(self, prefix: str, suffix: str, around: Surroundings = NOWHERE) -> list[Piece]:
        """One record's prompt piece by piece, untruncated: what `batchfim prompt` shows."""
        (before,), (after,) = self._encode_sides([prefix], [suffix])
        slots = {
            "prefix": Piece("prefix", prefix, list(before)),
            "suffix": Piece("suffix", suffix, list(after)),
        }
        pieces: list[Piece] = []
        for part in self._parts:
            if isinstance(part, Token):
                pieces.append(Piece("sentinel", part.text, [part.token_id]))
            elif isinstance(part, FixedText):
                pieces.append(Piece("text", part.text, list(part.token_ids)))
            elif isinstance(part, Text):
                pieces.append(self._text_piece(part, around.fields))
            elif part in slots:
                pieces.append(slots[part])
            else:
                pieces += [piece for file in around.context for piece in self._file_pieces(file)]
        return pieces

    def _encode_sides(
        self, prefixes: Sequence[str], suffixes: Sequence[str]
    ) -> tuple[list[Ids], list[Ids]]:
        if SUFFIX_SLOT not in self.layout:
            suffixes = [""] * len(prefixes)
        spaces = [self._has_space("prefix"), self._has_space("suffix")]
        if spaces[0] != spaces[1]:
            before = self._tokenizer.encode(prefixes, leading_space=spaces[0])
            return before, self._tokenizer.encode(suffixes, leading_space=spaces[1])
        both = self._tokenizer.encode([*prefixes, *suffixes], leading_space=spaces[0])
        return both[: len(prefixes)], both[len(prefixes) :]

    def _has_space(self, slot: Slot) -> bool:
        return f"{{{slot}}}" in self.layout and self.form.has_leading_space(self.order, slot)

    def _text_piece(self, part: Text, fields: dict[str, str]) -> Piece:
        text = part.fill(fields)
        (ids,) = self._tokenizer.encode([text])
        return Piece("text", text, list(ids))

    def _file_pieces(self, file: ContextFile) -> list[Piece]:
        fields = {"path": file.path, "text": file.text}
        pieces = []
        for part in self._file_parts:
            if isinstance(part, Token):
                pieces.append(Piece("sentinel", part.text, [part.token_id]))
            elif isinstance(part, Text):
                pieces.append(self._text_piece(part, fields))
        return pieces

    def _is_changed(self, prefix: str, suffix: str, before: Ids, after: Ids) -> bool:
        return self._tokenizer.changed(prefix, before) or self._tokenizer.changed(suffix, after)

    def _fit(
        self, prefix: Ids, suffix: Ids, around: Surroundings, normalized: bool
    ) -> Prompt | TooLong:
        in_files = [self._file_pieces(file) for file in around.context if self._file_parts]
        files: list[Ids] = [_ids(pieces) for pieces in in_files]
        filled = [self._text_piece(part, around.fields) for part in self._texts]
        texts = [piece.token_ids for piece in filled]
        sizes = [len(file) for file in files]
        num_prefix, num_suffix, dropped = len(prefix), len(suffix), 0
        if self._budget is not None:
            budget = self._budget - sum(map(len, texts))
            wanted = num_prefix + num_suffix + sum(sizes)
            if wanted > budget:
                if not self._truncate or budget < 1:
                    own = self.num_sentinels
                    whole = wanted + own + sum(map(len, texts))
                    return TooLong(whole, self._budget + own, self._truncate)
                dropped = files_dropped(sizes, budget - num_prefix - num_suffix)
                keep = split_budget(num_prefix, num_suffix, budget, self._prefix_share, self._align)
                prefix, suffix = self._cut(prefix, suffix, keep)
        slots = {"prefix": [prefix], "suffix": [suffix], "context": files[dropped:]}
        return Prompt(
            self._assemble(slots, iter(texts)),
            num_prefix - len(prefix),
            num_suffix - len(suffix),
            sum(sizes[:dropped]),
            self.order,
            normalized or any(map(self._is_piece_changed, chain(filled, *in_files))),
        )

    def _is_piece_changed(self, piece: Piece) -> bool:
        return piece.kind == "text" and self._tokenizer.changed(piece.text, piece.token_ids)

    def _cut(self, prefix: Ids, suffix: Ids, keep: tuple[int, int]) -> tuple[Ids, Ids]:
        if keep[0] < len(prefix):
            prefix = self._tokenizer.cut_start(prefix, keep[0])
        if keep[1] < len(suffix):
            suffix = self._tokenizer.cut_end(suffix, keep[1])
        return prefix, suffix

    def _assemble(self, slots: dict[str, list[Ids]], texts: Iterator[list[int]]) -> array[int]:
        token_ids = array("I")
        for part in self._parts:
            if isinstance(part, str):
                for ids in slots[part]:
                    token_ids.extend(ids)
            else:
                token_ids.extend(next(texts) if isinstance(part, Text) else _fixed(part))
        return token_ids


def _fixed(part: Part) -> tuple[int, ...]:
    """Ids of a part that is the same in every prompt."""
    if isinstance(part, Token):
        return (part.token_id,)
    return part.token_ids if isinstance(part, FixedText) else ()


def _ids(pieces: list[Piece]) -> list[int]:
    return [token_id for piece in pieces for token_id in piece.token_ids]
