"""Draw batches: random holes in random files, with each row a sample followed by a filler.

The filler matters. When samples filled their rows exactly, the model learned to end a middle only
at the row's last position; with fillers, a sample ends anywhere in its row, and the text after it,
from another file, is learned from as well, whereas padding would be wasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer

from batchfim.demo.training.config import TrainingConfig
from batchfim.demo.training.corpus import Corpus
from batchfim.demo.training.holes import choose_hole
from batchfim.demo.training.samples import (
    CHARS_PER_TOKEN,
    NUM_PROMPT_SENTINELS,
    Order,
    Sentinels,
    context_window,
    prompt_ids,
)

MIN_PREFIX_SHARE = 0.25
"""The prefix takes a random share of a sample's context, between this and all of it."""
MIN_FILL_SHARE = 0.3
"""A sample takes a random share of its row, between this and all of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of one row; those from `middle_start` to `middle_end` are a middle and its end.

    Those from `silent_start` to `middle_start`, the prefix in the order spm_v2, carry no loss:
    nothing marks where that prefix ends, so learning it would teach the model not to stop.
    """

    ids: list[int]
    silent_start: int
    middle_start: int
    middle_end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets and loss weights, all of shape [samples, length].

    `in_middle` marks the positions whose target is the middle or its end; padding has weight 0.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    in_middle: torch.Tensor


class SampleMaker:
    """Draws batches; the batch of a step depends only on the seed and the step.

    So a resumed run sees the samples it would have seen anyway, and none twice, since each step
    cuts new random holes.
    """

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, config: TrainingConfig) -> None:
        """`tokenizer` must know the sentinels."""
        self._corpus = corpus
        self._tokenizer = tokenizer
        self._config = config
        self._marks = Sentinels.of(tokenizer)

    def batch(self, step: int, progress: float) -> Batch:
        """The batch of `step`, of a length allowed by the stage at `progress` in [0, 1]."""
        rng = Random(f"{self._config.seed}:{step}")
        length = self._draw_length(progress, rng)
        num_samples = self._config.batch_tokens // length
        rows = [self._draw_row(length + 1, rng) for _ in range(num_samples)]
        return self._collate(rows, length)

    def _draw_length(self, progress: float, rng: Random) -> int:
        stages = self._config.stages
        stage = next((stage for stage in stages if progress < stage.until), stages[-1])
        lengths, shares = zip(*stage.length_shares, strict=True)
        return int(rng.choices(lengths, shares)[0])

    def _draw_row(self, num_tokens: int, rng: Random) -> Row:
        """A sample of random length and a filler; `num_tokens` ids unless the filler runs out."""
        prompt, middle = self._draw_sample(
            round(num_tokens * rng.uniform(MIN_FILL_SHARE, 1.0)), rng
        )
        sample = [*prompt, *middle, self._marks.end]
        filler = self._draw_filler(num_tokens - len(sample), rng)
        silent_start = prompt.index(self._marks.middle) + 1
        return Row([*sample, *filler], silent_start, len(prompt), len(sample))

    def _draw_filler(self, num_tokens: int, rng: Random) -> list[int]:
        text = self._corpus.draw(rng).text
        start = rng.randrange(len(text))
        return self._tokenizer.encode(text[start : start + num_tokens * CHARS_PER_TOKEN]).ids[
            :num_tokens
        ]

    def _draw_sample(self, num_tokens: int, rng: Random) -> tuple[list[int], list[int]]:
        """Prompt and middle of at most `num_tokens` ids, end included; redraws long middles."""
        kinds, shares = zip(*self._config.kind_shares, strict=True)
        max_middle = round(num_tokens * self._config.max_middle_share)
        order = rng.choice(tuple(Order))
        while True:
            document = self._corpus.draw(rng)
            hole = choose_hole(document, rng.choices(kinds, shares)[0], rng)
            middle = self._tokenizer.encode(document.text[hole.start : hole.end]).ids
            if len(middle) < max_middle:
                break
        room = num_tokens - NUM_PROMPT_SENTINELS - len(middle) - 1
        share = rng.uniform(MIN_PREFIX_SHARE, 1.0)
        prefix, suffix = context_window(document, hole, self._tokenizer, room, share)
        return prompt_ids(order, prefix, suffix, self._marks), middle

    def _collate(self, rows: list[Row], length: int) -> Batch:
        """Pad on the right, where a causal model never attends, and weight every target."""
        ids = torch.full((len(rows), length + 1), self._marks.pad)
        weights = torch.zeros(len(rows), length)
        in_middle = torch.zeros(len(rows), length, dtype=torch.bool)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.tensor(row.ids)
            weights[place, : len(row.ids) - 1] = self._config.context_weight
            weights[place, row.silent_start - 1 : row.middle_start - 1] = 0.0
            in_middle[place, row.middle_start - 1 : row.middle_end - 1] = True
        weights[in_middle] = 1.0
        return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), weights, in_middle)
