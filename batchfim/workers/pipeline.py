"""The pipeline of one engine: encode, order, generate and finish rows from any source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.engines.engine import Engine
from batchfim.formats.encoder import Prompt, TooLong
from batchfim.formats.languages import find_language
from batchfim.models.infiller import Infiller
from batchfim.planning.requests import requests
from batchfim.records import (
    NO_LANGUAGE,
    Completion,
    Fault,
    Hole,
    LanguageColumns,
    Status,
    place_text,
    read_hole,
    read_holes,
    read_optional,
)
from batchfim.shards import short_digest
from batchfim.workers.completing import Completer, InFlightRecord, record_seed
from batchfim.workers.in_flight import InFlight


@dataclass(kw_only=True)
class RowsInHand:
    """Rows in the pipeline, with prompts yet to be sent to the engine and finished samples.

    Attributes:
        id: prefix of the request ids.
        rows: input rows, with the columns that are read.
        source: path of the rows' file, for errors; empty if unknown.
        content: identity of the file's content, for seeds; None: derive seeds from the rows' texts.
        numbers: row numbers in the file.
        failure: if set, all rows fail with this error without calling the engine.
        language: columns that give a row's language, if a rule needs it.
    """

    id: str
    rows: pa.Table
    source: str = ""
    content: str | None = None
    numbers: Sequence[int] = ()
    failure: str | None = None
    language: LanguageColumns = NO_LANGUAGE
    sides: tuple[pa.ChunkedArray, pa.ChunkedArray] = field(init=False)  # prefixes and suffixes
    prompts: dict[int, Prompt] = field(default_factory=dict)
    languages: list[str | None] = field(default_factory=list)
    adapters: dict[int, str] = field(default_factory=dict)
    completions: dict[int, list[Completion]] = field(default_factory=dict)
    phases_s: dict[str, float] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """The beginning of an error about a row, which names its file and number."""
        return place_text(self.source, self.numbers[row]) if self.source else ""

    def seed_key(self, row: int, hole: Hole) -> tuple[str, int]:
        """The source of a row's seed, independent of the other rows in the pipeline."""
        if self.content is None:
            return short_digest(hole.prefix, hole.suffix), 0
        return self.content, self.numbers[row]

    def finished(self) -> list[list[Completion]]:
        """The samples of each row."""
        return [self.completions[row] for row in range(self.rows.num_rows)]


class Pipeline:
    """Processes several shards at once, so that the engine is not idle between shards."""

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
        # More than the engine processes at a time, so that it never waits for the next prompt.
        max_records = config.schedule.records_in_flight(max_num_seqs, config.sampling.n)
        self._in_flight = InFlight(max_records, config.schedule.in_flight_tokens)
        self._encoding = asyncio.Lock()  # the tokenizer uses all cores for one set of rows already
        self._entering = asyncio.Lock()  # fair, so requests reach the engine in shard order

    @property
    def num_steps(self) -> int:
        """Steps made on any rows, by which the driver detects a stalled pipeline."""
        return self._num_steps + self._engine.num_steps

    @property
    def num_in_flight(self) -> int:
        """Records handed to the engine and not yet finished."""
        return self._in_flight.num_records

    async def fill(self, in_hand: RowsInHand, begun: Callable[[], None] = lambda: None) -> None:
        """Generate the samples of all rows.

        Args:
            in_hand: the rows, to which the samples are added.
            begun: called once the engine has all their prompts.

        Raises:
            EngineDead: the engine is gone.
        """
        self._num_steps += 1
        started_s = time.monotonic()
        async with self._encoding:
            await asyncio.to_thread(self._encode, in_hand)
        in_hand.phases_s["encode_s"] = time.monotonic() - started_s
        self._num_steps += 1
        await self._send_requests(in_hand, begun)

    def _encode(self, in_hand: RowsInHand) -> None:
        """Encode each row as a prompt, or complete it without a middle if it cannot have one."""
        columns, loras = self._columns, self._model.loras
        in_hand.sides = in_hand.rows[columns.prefix], in_hand.rows[columns.suffix]
        holes: dict[int, Hole] = {}
        read = read_holes(in_hand.rows, columns.prefix, columns.suffix, columns.others, loras)
        for row, hole in enumerate(read):
            if isinstance(hole, Fault):
                in_hand.completions[row] = self._completer.without_middle(
                    Status.REJECTED, hole.reason, in_hand.where(row)
                )
            elif in_hand.failure is not None:
                in_hand.completions[row] = self._completer.without_middle(
                    Status.FAILED, in_hand.failure
                )
            else:
                holes[row] = hole
                if adapter := hole.around.lora or self._model.lora:
                    in_hand.adapters[row] = adapter
        in_hand.languages = [
            find_language(name, path)
            for name, path in zip(
                read_optional(in_hand.rows, in_hand.language.language),
                read_optional(in_hand.rows, in_hand.language.path),
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
                in_hand.completions[row] = self._completer.without_middle(
                    Status.REJECTED, _too_long(prompt)
                )
            else:
                in_hand.prompts[row] = prompt

    async def _send_requests(self, in_hand: RowsInHand, begun: Callable[[], None]) -> None:
        started_s = time.monotonic()
        greedy = self._sampling.temperature == 0  # otherwise each row has its own seed
        key = partial(self._stop_key, in_hand) if greedy else None
        tasks: list[asyncio.Task[None]] = []
        try:
            async with self._entering:
                for rows in requests(in_hand.prompts, key, in_hand.adapters):
                    tasks.append(await self._start_when_room(rows, in_hand))
            begun()
            await asyncio.gather(*tasks)
        finally:  # if one request failed, the results of the others are not needed
            for task in tasks:
                task.cancel()
        in_hand.phases_s["generate_s"] = time.monotonic() - started_s

    async def _start_when_room(self, rows: list[int], in_hand: RowsInHand) -> asyncio.Task[None]:
        """Start a request once there is room for it; the room is released when it ends."""
        num_tokens = len(in_hand.prompts[rows[0]].token_ids) * self._sampling.n
        await self._in_flight.enter(num_tokens)
        task = asyncio.create_task(self._answer(rows, in_hand))
        task.add_done_callback(lambda _: self._leave(num_tokens))
        return task

    def _leave(self, num_tokens: int) -> None:
        self._num_steps += 1
        self._in_flight.leave(num_tokens)

    def _stop_key(self, in_hand: RowsInHand, row: int) -> Hashable:
        return self._infiller.finisher.stop_key(self._hole(in_hand, row))

    async def _answer(self, rows: list[int], in_hand: RowsInHand) -> None:
        records = [
            InFlightRecord(
                in_hand.prompts.pop(row),  # frees memory: a prompt is as large as its texts
                self._hole(in_hand, row),
                in_hand.languages[row],
                in_hand.adapters.get(row),
            )
            for row in rows
        ]
        seed = record_seed(self._sampling.seed, *in_hand.seed_key(rows[0], records[0].hole))
        completions = await self._completer.complete(f"{in_hand.id}-{rows[0]}", seed, records)
        in_hand.completions.update(zip(rows, completions, strict=True))

    def _hole(self, in_hand: RowsInHand, row: int) -> Hole:
        """Read a row's hole again: keeping all holes as Python strings would double the memory."""
        return read_hole(*in_hand.sides, row)


def _too_long(prompt: TooLong) -> str:
    why = (
        "its path and the layout's own texts, which are never cut, leave no room for the hole"
        if prompt.truncates
        else "infill.truncation.enabled is off"
    )
    return (
        f"the prompt has {prompt.prompt_tokens} tokens, but the context leaves room for "
        f"{prompt.budget_tokens}, and {why}"
    )
