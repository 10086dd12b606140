"""Choose, for each source file's records, the order whose prompts share most. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from batchfim.formats.encoder import Encoder, Piece, Prompt, TooLong
from batchfim.formats.format import AUTO
from batchfim.planning.sharing import tree_tokens
from batchfim.surroundings import NOWHERE, Surroundings

# Not the engine's own block size: the same records must get the same order on every engine.
_BLOCK_TOKENS = 16
_TELLING_CHARACTERS = 64


class ChoosingEncoder:
    """The encoder for `infill.order: auto`; it pays for its choice by encoding in every order."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        """Choose between these encoders; in a tie, the first."""
        self.form = encoders[0].form
        self.order = AUTO  # for records that have no prompt
        self.stop_token_ids = encoders[0].stop_token_ids
        self._encoders = encoders

    def encode(
        self,
        prefixes: Sequence[str],
        suffixes: Sequence[str],
        surroundings: Sequence[Surroundings] | None = None,
    ) -> list[Prompt | TooLong]:
        """The prompts of some records; each names the order that was chosen."""
        ways = [encoder.encode(prefixes, suffixes, surroundings) for encoder in self._encoders]
        chosen = list(ways[0])
        for rows in file_groups(prefixes, suffixes, surroundings or [NOWHERE] * len(prefixes)):
            best = min(([way[row] for row in rows] for way in ways), key=_tokens_to_compute)
            for row, prompt in zip(rows, best, strict=True):
                chosen[row] = prompt
        return chosen

    def pieces(self, prefix: str, suffix: str, around: Surroundings = NOWHERE) -> list[Piece]:
        """The pieces of one record's prompt, in the first of the orders."""
        return self._encoders[0].pieces(prefix, suffix, around)


def file_groups(
    prefixes: Sequence[str], suffixes: Sequence[str], surroundings: Sequence[Surroundings]
) -> list[list[int]]:
    """Group the positions of records that seem to come from the same source file.

    These are records with the same path (and repository), or, without a path, neighbors whose
    prefixes begin or whose suffixes end with the same 64 characters.
    """
    groups: dict[Hashable, list[int]] = {}
    run = 0
    for row, place in enumerate(surroundings):
        if row and not _share(prefixes[row - 1 : row + 1], suffixes[row - 1 : row + 1]):
            run += 1
        key = (place.repo, place.path) if place.path else run
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _share(prefixes: Sequence[str], suffixes: Sequence[str]) -> bool:
    start = min(_TELLING_CHARACTERS, *map(len, prefixes))
    end = min(_TELLING_CHARACTERS, *map(len, suffixes))
    return (start > 0 and prefixes[0][:start] == prefixes[1][:start]) or (
        end > 0 and suffixes[0][-end:] == suffixes[1][-end:]
    )


def _tokens_to_compute(prompts: Sequence[Prompt | TooLong]) -> int:
    token_ids = [prompt.token_ids for prompt in prompts if isinstance(prompt, Prompt)]
    return tree_tokens(token_ids, _BLOCK_TOKENS)
