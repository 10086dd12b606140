"""Turn generated ids into a middle: cut at stop tokens, decode, apply stop and trim rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from batchfim.formats.borders import Borders
from batchfim.formats.degenerate import Degenerate, find_degenerate
from batchfim.formats.rules import StopRule, TrimRule
from batchfim.formats.stopping import StopCheck, find_end
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.formats.trimming import Ended, trim
from batchfim.records import Hole


@dataclass(frozen=True, slots=True)
class Middle:
    """One sample's text and how it was obtained.

    Attributes:
        text: the middle after stop and trim rules; always a start of `raw`.
        raw: everything generated, without stop and control tokens.
        stop_rule: what ended it: `eot` (the family's stop token), a stop rule, or `length`.
        trim_rule: the trim rules that cut it, in order, joined by commas; None if none did.
        degenerate: how `raw` is degenerate, or None.
        kept_tokens: number of leading generated tokens that `text` needs, without stop tokens.
    """

    text: str
    raw: str
    stop_rule: StopRule | Literal["length"]
    trim_rule: str | None
    degenerate: Degenerate | None
    kept_tokens: int


def cut_at_stop(token_ids: Sequence[int], stop_token_ids: Collection[int]) -> Sequence[int]:
    """The ids before the first stop token.

    vLLM keeps the stop token in the ids and sometimes in the text
    (`vllm/sampling_params.py`, `stop_token_ids`), so ids are cut rather than text.
    """
    for position, token_id in enumerate(token_ids):
        if token_id in stop_token_ids:
            return token_ids[:position]
    return token_ids


class Finisher:
    """Turns generated ids into middles, for one model and one choice of rules."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        stop_token_ids: Collection[int],
        stop: Sequence[StopRule] = ("eot",),
        trim: Sequence[TrimRule] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._stop_token_ids = frozenset(stop_token_ids)
        self._stop = [rule for rule in stop if rule != "eot"]
        self._trim = trim
        self._newlines: dict[int, bool] = {}

    def raw_middle(self, token_ids: Sequence[int]) -> str:
        """Text of the middle as generated, without stop and control tokens."""
        return self._tokenizer.decode(cut_at_stop(token_ids, self._stop_token_ids))

    def finish(
        self,
        token_ids: Sequence[int],
        hole: Hole,
        *,
        reached_limit: bool,
        by_rule: bool = False,
        language: str | None = None,
    ) -> Middle:
        """The middle of one sample.

        Args:
            token_ids: everything generated, stop token included.
            hole: the record's texts.
            reached_limit: whether the engine ended it at the length limit.
            by_rule: whether its `StopCheck` ended it.
            language: one of `languages.LANGUAGES`, for the `syntax` rule; if None, it does nothing.
        """
        kept = cut_at_stop(token_ids, self._stop_token_ids)
        raw = self._tokenizer.decode(kept)
        # A rule that ended the generation saw an unfinished text.
        found = find_end(raw, Borders.of(hole), self._stop, ended=not by_rule)
        reached_limit = reached_limit and found is None
        text = raw if found is None else raw[: found[0]]
        text, cut_by = trim(text, hole, Ended(reached_limit, language), self._trim)
        return Middle(
            text=text,
            raw=raw,
            stop_rule=found[1] if found else "length" if reached_limit else "eot",
            trim_rule=",".join(cut_by) or None,
            degenerate=find_degenerate(kept, raw, hole.suffix, reached_limit=reached_limit),
            kept_tokens=self._tokens_of(kept, text, raw),
        )

    def stop_checks(self, hole: Hole) -> Callable[[], StopCheck] | None:
        """Factory of checks that end the generation of a hole's samples; None if no rule can."""
        if not self._stop:
            return None
        borders = Borders.of(hole)
        return lambda: StopCheck(self._stop, borders, self._tokenizer.decode, self._has_newline)

    def stop_key(self, hole: Hole) -> Borders | None:
        """Key that is equal for holes whose stop checks end the same text at the same place."""
        return Borders.of(hole) if self._stop else None

    def _has_newline(self, token_id: int) -> bool:
        if token_id not in self._newlines:
            self._newlines[token_id] = "\n" in self._tokenizer.decode([token_id])
        return self._newlines[token_id]

    def _is_text_to_its_end(self, token_ids: Sequence[int]) -> bool:
        if token_ids[-1] in self._tokenizer.control_ids:
            return False
        return len(self._tokenizer.cut_end(token_ids, len(token_ids))) == len(token_ids)

    def _tokens_of(self, token_ids: Sequence[int], text: str, raw: str) -> int:
        """The smallest number of leading ids whose text starts with `text`."""
        low, high = 0, len(token_ids)
        if text == raw and token_ids and self._is_text_to_its_end(token_ids):
            return high  # the usual case
        while low < high:
            half = (low + high) // 2
            if self._tokenizer.decode(token_ids[:half]).startswith(text):
                high = half
            else:
                low = half + 1
        return low
