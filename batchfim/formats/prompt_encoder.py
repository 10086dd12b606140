"""What a job needs of its encoder, whether it has one order or chooses between several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from batchfim.formats.encoder import Piece, Prompt, TooLong
from batchfim.formats.format import Format
from batchfim.surroundings import NOWHERE, Surroundings


class PromptEncoder(Protocol):
    """Turns records into prompts, in one order or in the best of several (`order` is `auto`)."""

    form: Format
    order: str
    stop_token_ids: tuple[int, ...]

    def encode(
        self,
        prefixes: Sequence[str],
        suffixes: Sequence[str],
        surroundings: Sequence[Surroundings] | None = None,
    ) -> list[Prompt | TooLong]:
        """Encode some records to prompts, in order."""

    def pieces(self, prefix: str, suffix: str, around: Surroundings = NOWHERE) -> list[Piece]:
        """The pieces of one record's prompt, untruncated."""
