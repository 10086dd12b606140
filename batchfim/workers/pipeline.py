"""Rows through encode, order, generate and finish on one engine, wherever they come from."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.engines.engine import Engine
from batchfim.formats.encoder import Prompt, TooLong
from batchfim.formats.languages import find_language
from batchfim.infiller import Infiller
from batchfim.records import (
    NO_LANGUAGE,
    Completion,
    Fault,
    Hole,
    LanguageColumns,
    Status,
    read_hole,
    read_holes,
    read_optional,
)
from batchfim.workers.completing import Asked, Completer, record_seed
from batchfim.workers.in_flight import InFlight
from batchfim.workers.requests import requests


@dataclass(kw_only=True)
class Lot(ABC):
    """Rows in hand: prompts the engine is still to get, and samples of the rows that are finished.

    `id` begins the names of its requests; `verdict`: as a lease's; `language`: columns that tell a
    row's, where a rule asks for it.
    """

    id: str
    rows: pa.Table
    verdict: str | None = None
    language: LanguageColumns = NO_LANGUAGE
    sides: tuple[pa.ChunkedArray, pa.ChunkedArray] = field(init=False)  # prefixes and suffixes
    prompts: dict[int, Prompt] = field(default_factory=dict)
    languages: list[str | None] = field(default_factory=list)
    adapters: dict[int, str] = field(default_factory=dict)
    completions: dict[int, list[Completion]] = field(default_factory=dict)
    phases_s: dict[str, float] = field(default_factory=dict)

    @abstractmethod
    def where(self, row: int) -> str:
        """What an error about a row begins with."""

    @abstractmethod
    def place(self, row: int, hole: Hole) -> tuple[str, int]:
        """Content and number: what a row's seed is made of, whichever lot it is in."""

    def finished(self) -> list[list[Completion]]:
        """The samples of each row."""
        return [self.completions[row] for row in range(self.rows.num_rows)]


class Pipeline:
    """Completes lots, several at once, so that the engine never waits for a border."""

    def __init__(
        self,
        config: JobConfig,
        infiller: Infiller,
        engine: Engine,
        *,
        max_num_seqs: int = 256,
    ) -> None:
        self._num_steps = 0
        self._columns = config.input.columns
        self._model = config.model
        self._sampling = config.sampling
        self._infiller = infiller
        self._engine = engine
        self._completer = Completer(config, infiller, engine)
        # More than the engine works at a time, so that it never waits for the next prompt.
        max_records = config.schedule.records_in_flight(max_num_seqs)
        self._in_flight = InFlight(max_records, config.schedule.in_flight_tokens)
        self._encoding = asyncio.Lock()  # the tokenizer has all cores at work for one lot already
        self._entering = asyncio.Lock()  # first come, first served: lots enter in their order

    @property
    def num_steps(self) -> int:
        """Of work on any lot, so that one can see from afar whether it lives."""
        return self._num_steps + self._engine.num_steps

    @property
    def num_in_flight(self) -> int:
        """Records handed to the engine and not yet finished."""
        return self._in_flight.num_records

    async def complete(self, lot: Lot, begun: Callable[[], None] = lambda: None) -> None:
        """Find the samples of every row.

        Args:
            lot: its samples are added to it.
            begun: called once the engine has all its prompts.

        Raises:
            EngineDead: there is no engine any more.
        """
        self._num_steps += 1
        started_s = time.monotonic()
        async with self._encoding:
            await asyncio.to_thread(self._encode, lot)
        lot.phases_s["encode_s"] = time.monotonic() - started_s
        self._num_steps += 1
        await self._generate(lot, begun)

    def _encode(self, lot: Lot) -> None:
        """Decide for each row: a prompt, or why there is none."""
        columns = self._columns
        lot.sides = lot.rows[columns.prefix], lot.rows[columns.suffix]
        holes: dict[int, Hole] = {}
        read = read_holes(lot.rows, columns.prefix, columns.suffix, columns.others)
        for row, hole in enumerate(read):
            if isinstance(hole, Fault):
                lot.completions[row] = self._completer.without_middle(
                    Status.REJECTED, hole.reason, lot.where(row)
                )
            elif lot.verdict is not None:
                lot.completions[row] = self._completer.without_middle(Status.FAILED, lot.verdict)
            elif (adapter := hole.around.lora) and adapter not in self._model.loras:
                lot.completions[row] = self._completer.without_middle(
                    Status.REJECTED, f"LoRA adapter {adapter!r} is none of model.loras"
                )
            else:
                holes[row] = hole
                if of := adapter or self._model.lora:
                    lot.adapters[row] = of
        lot.languages = [
            find_language(name, path)
            for name, path in zip(
                read_optional(lot.rows, lot.language.language),
                read_optional(lot.rows, lot.language.path),
                strict=True,
            )
        ]
        prompts = self._infiller.encoder.encode(
            [hole.prefix for hole in holes.values()],
            [hole.suffix for hole in holes.values()],
            [hole.around for hole in holes.values()],
        )
        for row, prompt in zip(holes, prompts, strict=True):
            if isinstance(prompt, TooLong):
                lot.completions[row] = self._completer.without_middle(
                    Status.REJECTED, _too_long(prompt)
                )
            else:
                lot.prompts[row] = prompt

    async def _generate(self, lot: Lot, begun: Callable[[], None]) -> None:
        started_s = time.monotonic()
        greedy = self._sampling.temperature == 0  # otherwise each row has its own seed
        key = partial(self._stop_key, lot) if greedy else None
        tasks = []
        async with self._entering:
            for rows in requests(lot.prompts, key, lot.adapters):
                await self._in_flight.enter(len(lot.prompts[rows[0]].token_ids))
                tasks.append(asyncio.create_task(self._complete(rows, lot)))
        begun()
        await asyncio.gather(*tasks)
        lot.phases_s["generate_s"] = time.monotonic() - started_s

    def _stop_key(self, lot: Lot, row: int) -> Hashable:
        return self._infiller.finisher.stop_key(self._hole(lot, row))

    async def _complete(self, rows: list[int], lot: Lot) -> None:
        records = [
            Asked(
                lot.prompts.pop(row),  # as large as its texts, which stay for the lot's last row
                self._hole(lot, row),
                lot.languages[row],
                lot.adapters.get(row),
            )
            for row in rows
        ]
        try:
            seed = record_seed(self._sampling.seed, *lot.place(rows[0], records[0].hole))
            completions = await self._completer.complete(f"{lot.id}-{rows[0]}", seed, records)
            lot.completions.update(zip(rows, completions, strict=True))
        finally:
            self._num_steps += 1
            self._in_flight.leave(len(records[0].prompt.token_ids))

    def _hole(self, lot: Lot, row: int) -> Hole:
        """Read again from the rows: kept as Python texts, a lot's holes would double it."""
        return read_hole(*lot.sides, row)


def _too_long(prompt: TooLong) -> str:
    why = (
        "its path and the layout's own texts, which are never cut, leave no room for the hole"
        if prompt.truncates
        else "infill.truncation.enabled is off"
    )
    return (
        f"the prompt has {prompt.prompt_tokens} tokens, the context leaves room for "
        f"{prompt.budget_tokens}, and {why}"
    )
