"""Greedy infilling of holes in held-out modules: does the model stop, and is it exact?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from transformers import Starcoder2ForCausalLM

from batchfim.demo.training.config import TrainingConfig
from batchfim.demo.training.corpus import Corpus
from batchfim.demo.training.holes import HoleKind, choose_hole
from batchfim.demo.training.record import EvalRow
from batchfim.demo.training.samples import (
    NUM_PROMPT_SENTINELS,
    Order,
    Sentinels,
    context_window,
    prompt_ids,
)

BATCH_HOLES = 50
PREFIX_SHARE = 0.65
"""Part of a prompt's room that the prefix may take; the suffix gets the rest."""


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt and the text that belongs in its hole."""

    prompt: list[int]
    middle: str


class Evaluator:
    """Asks `model` for the middles of holes that depend only on the seed and the kind."""

    def __init__(
        self,
        model: Starcoder2ForCausalLM,
        tokenizer: Tokenizer,
        corpus: Corpus,
        config: TrainingConfig,
    ) -> None:
        """`corpus` must be held out, which this class cannot check."""
        self._model = model
        self._tokenizer = tokenizer
        self._corpus = corpus
        self._config = config
        self._marks = Sentinels.of(tokenizer)

    def rows(self, num_holes: dict[HoleKind, int]) -> list[EvalRow]:
        """One row for each kind in `num_holes` and each order, both orders on the same holes."""
        return [
            self._row(kind, order, count) for kind, count in num_holes.items() for order in Order
        ]

    def _row(self, kind: HoleKind, order: Order, count: int) -> EvalRow:
        outcomes = list(self._outcomes(self.tasks(kind, order, count)))
        return EvalRow(
            kind=kind,
            order=order,
            num_holes=count,
            num_stopped=sum(stopped for stopped, _ in outcomes),
            num_exact=sum(exact for _, exact in outcomes),
        )

    def tasks(self, kind: HoleKind, order: Order, count: int) -> list[Task]:
        """`count` tasks, the longest prompts first so that a batch needs little padding."""
        rng = Random(f"{self._config.seed}:evaluate:{kind}")
        room = self._config.eval_max_prompt_tokens - NUM_PROMPT_SENTINELS
        tasks: list[Task] = []
        for _ in range(count):
            document = self._corpus.draw(rng)
            hole = choose_hole(document, kind, rng)
            prefix, suffix = context_window(document, hole, self._tokenizer, room, PREFIX_SHARE)
            middle = document.text[hole.start : hole.end]
            tasks.append(Task(prompt_ids(order, prefix, suffix, self._marks), middle))
        return sorted(tasks, key=lambda task: -len(task.prompt))

    def _outcomes(self, tasks: Sequence[Task]) -> Iterator[tuple[bool, bool]]:
        """For each task, whether the model ended the middle and whether it is exact."""
        end = self._marks.end
        for start in range(0, len(tasks), BATCH_HOLES):
            batch = tasks[start : start + BATCH_HOLES]
            for task, ids in zip(batch, self._generate(batch), strict=True):
                stopped = end in ids
                middle = ids[: ids.index(end)] if stopped else ids
                yield stopped, stopped and self._tokenizer.decode(middle) == task.middle

    def _generate(self, batch: Sequence[Task]) -> list[list[int]]:
        """New token ids of each prompt; prompts are padded on the left and the padding masked."""
        length = max(len(task.prompt) for task in batch)
        inputs = torch.full((len(batch), length), self._marks.pad)
        mask = torch.zeros_like(inputs)
        for row, task in enumerate(batch):
            inputs[row, length - len(task.prompt) :] = torch.tensor(task.prompt)
            mask[row, length - len(task.prompt) :] = 1
        with torch.no_grad():
            outputs = self._model.generate(
                inputs,
                attention_mask=mask,
                max_new_tokens=self._config.eval_max_new_tokens,
                do_sample=False,
                eos_token_id=self._marks.end,
                pad_token_id=self._marks.pad,
            )
        new: list[list[int]] = outputs[:, length:].tolist()
        return new
