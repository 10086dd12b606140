"""From a file with a hole to token ids: the two orders and the window around the hole.

Prefix, suffix and middle are tokenized separately in both orders, as in serving: the server encodes
the prefix alone and the model continues from there.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tokenizers import Tokenizer

from batchfim.demo.training.holes import Document, Hole
from batchfim.demo.training.tokenizer import (
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PAD,
    FIM_PREFIX,
    FIM_SUFFIX,
)

NUM_PROMPT_SENTINELS = 3
CHARS_PER_TOKEN = 6
"""Characters read per token of room: more than any token count needs, cut back to fit after."""


class Order(enum.StrEnum):
    """How prefix, suffix and middle follow each other in a sample."""

    PSM = "psm"
    SPM_V2 = "spm_v2"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Ids of the special tokens a sample needs."""

    end: int
    prefix: int
    middle: int
    suffix: int
    pad: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Sentinels:
        """Look the ids up by name."""
        names = (END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD)
        return cls(*(_id_of(tokenizer, name) for name in names))


def prompt_ids(order: Order, prefix: list[int], suffix: list[int], marks: Sentinels) -> list[int]:
    """What the server sends: everything before the first token of the middle."""
    if order is Order.PSM:
        return [marks.prefix, *prefix, marks.suffix, *suffix, marks.middle]
    return [marks.prefix, marks.suffix, *suffix, marks.middle, *prefix]


def _id_of(tokenizer: Tokenizer, name: str) -> int:
    found = tokenizer.token_to_id(name)
    if found is None:
        raise ValueError(f"the tokenizer has no {name}")
    return found


def context_window(
    document: Document, hole: Hole, tokenizer: Tokenizer, room_tokens: int, prefix_share: float
) -> tuple[list[int], list[int]]:
    """Prefix and suffix nearest to the hole, together at most `room_tokens`.

    Room that one side does not need goes to the other.
    """
    reach = room_tokens * CHARS_PER_TOKEN
    before = document.text[max(0, hole.start - reach) : hole.start]
    after = document.text[hole.end : hole.end + reach]
    prefix, suffix = (encoding.ids for encoding in tokenizer.encode_batch([before, after]))
    num_prefix = min(len(prefix), max(round(room_tokens * prefix_share), room_tokens - len(suffix)))
    num_suffix = min(len(suffix), room_tokens - num_prefix)
    return prefix[len(prefix) - num_prefix :], suffix[:num_suffix]
