"""Generated ids → middle: cut at the family's stop tokens, then decode."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from batchfim.formats.tokenizer import TextTokenizer


def cut_at_stop(token_ids: Sequence[int], stop_token_ids: Collection[int]) -> Sequence[int]:
    """The ids before the first stop token.

    vLLM leaves the stop token in the ids, and only sometimes out of the text
    (`vllm/sampling_params.py`, `stop_token_ids`), so the cut is made on ids.
    """
    for position, token_id in enumerate(token_ids):
        if token_id in stop_token_ids:
            return token_ids[:position]
    return token_ids


class Finisher:
    """Turns generated ids into text for one model."""

    def __init__(self, tokenizer: TextTokenizer, stop_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._stop_token_ids = frozenset(stop_token_ids)

    def raw_middle(self, token_ids: Sequence[int]) -> str:
        """Text of the middle as generated, without stop and control tokens."""
        return self._tokenizer.decode(cut_at_stop(token_ids, self._stop_token_ids))
