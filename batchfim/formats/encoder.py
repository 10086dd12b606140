"""Record → token ids. Prompts are built as lists of ids, never as strings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from batchfim.errors import ConfigError, ModelError
from batchfim.formats.format import SLOTS, Format
from batchfim.formats.tokenizer import TextTokenizer

_BATCH_CHARACTERS = 1 << 18


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a prompt: a sentinel, or the ids of a slot's text."""

    kind: Literal["sentinel", "prefix", "suffix"]
    text: str
    token_ids: list[int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A record's prompt, and what was cut to make it fit.

    The ids are packed, four bytes each: a shard in hand holds millions of them.
    """

    token_ids: array[int]
    truncated_prefix_tokens: int = 0
    truncated_suffix_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TooLong:
    """A record whose prompt does not fit, with truncation off."""

    prompt_tokens: int
    budget_tokens: int


def split_budget(prefix: int, suffix: int, budget: int, prefix_share: float) -> tuple[int, int]:
    """Tokens to keep of prefix and suffix so that both fit into `budget`.

    The prefix gets `prefix_share` of the budget, the suffix the rest; what one side does not need
    goes to the other.
    """
    if prefix + suffix <= budget:
        return prefix, suffix
    keep_prefix = min(prefix, max(int(budget * prefix_share), budget - suffix))
    return keep_prefix, budget - keep_prefix


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
    ) -> None:
        """Look every sentinel up once.

        Args:
            form: the family's format.
            order: name of a layout, or None for the recommended one.
            tokenizer: the model's.
            max_prompt_tokens: context less the tokens to generate; None: no limit.
            truncate: cut long records; otherwise they come back as `TooLong`.
            prefix_share: share of the budget that goes to the prefix, 0 to 1.

        Raises:
            ModelError: sentinels or stops the tokenizer lacks, named.
            ConfigError: an order the family lacks, or no room for a prompt at all.
        """
        self.form = form
        self.order = order or form.order
        self.layout = form.layout(self.order)
        self._tokenizer = tokenizer
        self._ids = _look_up(form, tokenizer)
        self.stop_token_ids = tuple(self._ids[stop] for stop in form.stops)
        self._truncate = truncate
        self._prefix_share = prefix_share
        self.num_sentinels = sum(piece not in SLOTS for piece in self.layout)
        self._budget = None if max_prompt_tokens is None else max_prompt_tokens - self.num_sentinels
        if self._budget is not None and self._budget < 1:
            raise ConfigError(
                "sampling.max_tokens leaves no room in the context for a prompt with its "
                f"{self.num_sentinels} sentinels; lower it, or raise engine.max_model_len"
            )

    def encode(self, prefixes: Sequence[str], suffixes: Sequence[str]) -> list[Prompt | TooLong]:
        """Prompts of some records, in order.

        The tokenizer is called with about a quarter million characters at a time: what it returns
        takes some hundred bytes a token until the ids are taken out of it.
        """
        prompts: list[Prompt | TooLong] = []
        for start, end in _batches(prefixes, suffixes):
            ids = self._tokenizer.encode([*prefixes[start:end], *suffixes[start:end]])
            pairs = zip(ids[: end - start], ids[end - start :], strict=True)
            prompts += [self._fit(prefix, suffix) for prefix, suffix in pairs]
        return prompts

    def pieces(self, prefix: str, suffix: str) -> list[Piece]:
        """One record's prompt piece by piece, untruncated: what `batchfim prompt` shows."""
        prefix_ids, suffix_ids = self._tokenizer.encode([prefix, suffix])
        texts = {"prefix": (prefix, prefix_ids), "suffix": (suffix, suffix_ids)}
        return [
            Piece(SLOTS[piece], *texts[SLOTS[piece]])
            if piece in SLOTS
            else Piece("sentinel", piece, [self._ids[piece]])
            for piece in self.layout
        ]

    def _fit(self, prefix: list[int], suffix: list[int]) -> Prompt | TooLong:
        num_prefix, num_suffix = len(prefix), len(suffix)
        if self._budget is not None and num_prefix + num_suffix > self._budget:
            if not self._truncate:
                return TooLong(
                    num_prefix + num_suffix + self.num_sentinels, self._budget + self.num_sentinels
                )
            keep = split_budget(num_prefix, num_suffix, self._budget, self._prefix_share)
            prefix = self._tokenizer.cut_start(prefix, keep[0])
            suffix = self._tokenizer.cut_end(suffix, keep[1])
        return Prompt(
            self._assemble(prefix, suffix), num_prefix - len(prefix), num_suffix - len(suffix)
        )

    def _assemble(self, prefix: list[int], suffix: list[int]) -> array[int]:
        slots = {"prefix": prefix, "suffix": suffix}
        token_ids = array("I")
        for piece in self.layout:
            token_ids.extend(slots[SLOTS[piece]] if piece in SLOTS else [self._ids[piece]])
        return token_ids


def _batches(prefixes: Sequence[str], suffixes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Row ranges of about `_BATCH_CHARACTERS` of text, one record at least."""
    start = characters = 0
    for end, (prefix, suffix) in enumerate(zip(prefixes, suffixes, strict=True), 1):
        characters += len(prefix) + len(suffix)
        if characters >= _BATCH_CHARACTERS:
            yield start, end
            start, characters = end, 0
    if start < len(prefixes):
        yield start, len(prefixes)


def _look_up(form: Format, tokenizer: TextTokenizer) -> dict[str, int]:
    ids, missing = {}, []
    for text in sorted(form.control_texts()):
        try:
            ids[text] = tokenizer.token_id(text)
        except ModelError:
            missing.append(text)
    if missing:
        raise ModelError(
            f"family {form.family}: the model's tokenizer has no {', '.join(map(repr, missing))}; "
            "is model.family right, and was this model trained to infill?"
        )
    return ids
