"""One engine and the pipeline around it: a shard through read, encode, generate, finish, write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from batchfim.engines.build import build_engine
from batchfim.engines.engine import Engine, EngineInfo
from batchfim.errors import BatchfimError, EngineDead, InputError, StorageError
from batchfim.formats.encoder import Prompt, TooLong
from batchfim.formats.languages import find_language
from batchfim.infiller import Infiller, open_infiller
from batchfim.metrics.report import Counts, Retried, ShardReport, endings, errors, sizes, timings
from batchfim.records import (
    NO_LANGUAGE,
    Completion,
    Fault,
    Hole,
    Status,
    read_hole,
    read_holes,
    read_optional,
)
from batchfim.shards import Lease, Shard
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.storage.parts import part_table, read_part, write_part
from batchfim.storage.rows import RowReader, columns_to_read
from batchfim.workers.completing import Asked, Completer
from batchfim.workers.in_flight import InFlight
from batchfim.workers.pool import Blame, ShardFailure, WorkerSpec
from batchfim.workers.requests import requests
from batchfim.workers.retrying import completions as samples_of
from batchfim.workers.retrying import failed_records, last_attempt, merged


@dataclass
class _Work:
    """A shard in hand: per row either a prompt still to complete, or its finished samples.

    `places` are the rows' places in the shard; of a shard that is retried, only its failed records
    are here, and `before` is its part so far.
    """

    rows: pa.Table
    places: Sequence[int]
    sides: tuple[pa.ChunkedArray, pa.ChunkedArray]  # the columns of prefixes and of suffixes
    before: pa.Table | None = None
    prompts: dict[int, Prompt] = field(default_factory=dict)
    languages: list[str | None] = field(default_factory=list)
    adapters: dict[int, str] = field(default_factory=dict)
    completions: dict[int, list[Completion]] = field(default_factory=dict)
    started_at: float = 0.0
    phases_s: dict[str, float] = field(default_factory=dict)


class Worker:
    """Works shards on one engine; several at once, so that the engine never waits for a border."""

    def __init__(
        self,
        name: str,
        spec: WorkerSpec,
        infiller: Infiller,
        engine: Engine,
        *,
        max_num_seqs: int = 256,
    ) -> None:
        config = spec.config
        self.name = name
        self.num_steps = 0  # of work on any shard, so that one can see from afar whether it lives
        self._run = spec.run
        self._retry = spec.retry
        self._config = config
        self._kept = list(spec.kept_columns)
        self._infiller = infiller
        self._engine = engine
        self._completer = Completer(config, infiller, engine)
        parses = "syntax" in config.infill.trim  # the one rule that asks for the language
        self._language = spec.language_columns if parses else NO_LANGUAGE
        names = [*self._kept, *self._language.names]
        self._reader = RowReader(columns_to_read(config.input.columns, names))
        self._ledger = Ledger(Location.of(config.output.path))
        # More than the engine works at a time, so that it never waits for the next prompt.
        max_records = config.schedule.records_in_flight(max_num_seqs)
        self._in_flight = InFlight(max_records, config.schedule.in_flight_tokens)
        # Both are first come, first served: shards are read, and enter the engine, in lease order.
        self._reading = asyncio.Lock()
        self._entering = asyncio.Lock()

    @classmethod
    async def start(cls, name: str, spec: WorkerSpec) -> tuple[Worker, EngineInfo]:
        """Open the model and start the engine.

        Raises:
            ModelError, EngineStartError: the worker cannot come up.
        """
        infiller = await asyncio.to_thread(open_infiller, spec.config, weights=True)
        engine = build_engine(spec.config, infiller)
        info = await engine.start()
        return cls(name, spec, infiller, engine, max_num_seqs=info.max_num_seqs), info

    @property
    def num_in_flight(self) -> int:
        """Records handed to the engine and not yet finished."""
        return self._in_flight.num_records

    async def work(self, lease: Lease) -> ShardReport | ShardFailure:
        """Work a lease. The shard boundary: whatever goes wrong inside is recorded, not raised."""
        try:
            return await self.run_shard(lease)
        except BatchfimError as error:
            return ShardFailure(str(error), _blame(error))
        except Exception as error:  # one shard's failure must not take its neighbours along
            return ShardFailure(f"{type(error).__name__}: {error}")

    async def run_shard(self, lease: Lease) -> ShardReport:
        """Complete every record of a shard and stage its part.

        Raises:
            EngineDead: nothing was staged.
            InputError, StorageError: the rows cannot be read, or the part cannot be written.
        """
        async with self._reading:
            work = await asyncio.to_thread(self._read, lease.shard)
        self.num_steps += 1
        await asyncio.to_thread(self._encode, lease, work)
        self.num_steps += 1
        await self._generate(lease.shard, work)
        return await asyncio.to_thread(self._write, lease, work)

    async def stop(self) -> None:
        """End the engine."""
        await self._engine.stop()

    def _read(self, shard: Shard) -> _Work:
        started_at, started_s = time.time(), time.monotonic()
        rows, before = self._reader.read(shard), None
        places: Sequence[int] = range(rows.num_rows)
        if self._retry:
            before = read_part(self._ledger.part(shard.id))
            places = failed_records(before, self._config.sampling.n)
            rows = rows.take(pa.array(places, pa.int64()))
        columns = self._config.input.columns
        sides = rows[columns.prefix], rows[columns.suffix]
        work = _Work(rows, places, sides, before)
        work.started_at = started_at
        work.phases_s["read_s"] = time.monotonic() - started_s
        return work

    def _encode(self, lease: Lease, work: _Work) -> None:
        """Decide for each row: a prompt, or why there is none."""
        started_s = time.monotonic()
        columns = self._config.input.columns
        holes: dict[int, Hole] = {}
        read = read_holes(work.rows, columns.prefix, columns.suffix, columns.others)
        for row, hole in enumerate(read):
            if isinstance(hole, Fault):
                where = f"{lease.shard.path}, row {lease.shard.start + work.places[row]}: "
                work.completions[row] = self._completer.without_middle(
                    Status.REJECTED, hole.reason, where
                )
            elif lease.verdict is not None:
                work.completions[row] = self._completer.without_middle(Status.FAILED, lease.verdict)
            elif (adapter := hole.around.lora) and adapter not in self._config.model.loras:
                work.completions[row] = self._completer.without_middle(
                    Status.REJECTED, f"LoRA adapter {adapter!r} is none of model.loras"
                )
            else:
                holes[row] = hole
                if of := adapter or self._config.model.lora:
                    work.adapters[row] = of
        work.languages = [
            find_language(name, path)
            for name, path in zip(
                read_optional(work.rows, self._language.language),
                read_optional(work.rows, self._language.path),
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
                work.completions[row] = self._completer.without_middle(
                    Status.REJECTED, _too_long(prompt)
                )
            else:
                work.prompts[row] = prompt
        work.phases_s["encode_s"] = time.monotonic() - started_s

    async def _generate(self, shard: Shard, work: _Work) -> None:
        started_s = time.monotonic()
        greedy = self._config.sampling.temperature == 0  # otherwise each row has its own seed
        key = partial(self._stop_key, work) if greedy else None
        tasks = []
        async with self._entering:
            for rows in requests(work.prompts, key, work.adapters):
                await self._in_flight.enter(len(work.prompts[rows[0]].token_ids))
                tasks.append(asyncio.create_task(self._complete(shard, rows, work)))
        await asyncio.gather(*tasks)
        work.phases_s["generate_s"] = time.monotonic() - started_s

    def _stop_key(self, work: _Work, row: int) -> Hashable:
        return self._infiller.finisher.stop_key(self._hole(work, row))

    async def _complete(self, shard: Shard, rows: list[int], work: _Work) -> None:
        records = [
            Asked(
                work.places[row],
                work.prompts[row],
                self._hole(work, row),
                work.languages[row],
                work.adapters.get(row),
            )
            for row in rows
        ]
        try:
            completions = await self._completer.complete(shard, records)
            work.completions.update(zip(rows, completions, strict=True))
        finally:
            self.num_steps += 1
            self._in_flight.leave(len(records[0].prompt.token_ids))

    def _hole(self, work: _Work, row: int) -> Hole:
        """Read again from the rows: kept as Python texts, a shard's holes would double it."""
        return read_hole(*work.sides, row)

    def _write(self, lease: Lease, work: _Work) -> ShardReport:
        started_s = time.monotonic()
        work.prompts.clear()  # as large as the part that is made now
        completions = [work.completions[row] for row in range(work.rows.num_rows)]
        table = part_table(
            work.rows.select(self._kept),
            completions,
            family=self._infiller.encoder.form.family,
            worker=self.name,
            attempt=lease.attempt + (last_attempt(work.before) if work.before else 0),
        )
        samples = [sample for row in completions for sample in row]
        num_records, retried = work.rows.num_rows, None
        if work.before is not None:
            retried = Retried(records=num_records, counts=Counts.of(samples))
            table = merged(work.before, table, work.places, self._config.sampling.n)
            samples = samples_of(table)
            num_records = table.num_rows // self._config.sampling.n
        staged = self._ledger.staged(self._run, lease.shard.id, lease.attempt)
        checksum, size_bytes = write_part(staged, table, self._config.output.compression)
        work.phases_s["write_s"] = time.monotonic() - started_s
        return ShardReport(
            shard_id=lease.shard.id,
            attempt=lease.attempt,
            run=self._run,
            worker=self.name,
            started_at=work.started_at,
            records=num_records,
            counts=Counts.of(samples),
            retried=retried,
            **endings(samples),
            errors=errors(samples),
            timings=timings(samples),
            sizes=sizes(samples),
            checksum=checksum,
            size_bytes=size_bytes,
            **work.phases_s,
        )


def _blame(error: BatchfimError) -> Blame:
    table = ((EngineDead, Blame.ENGINE), (StorageError, Blame.STORAGE), (InputError, Blame.INPUT))
    return next((blame for kind, blame in table if isinstance(error, kind)), Blame.TASK)


def _too_long(prompt: TooLong) -> str:
    return (
        f"the prompt has {prompt.prompt_tokens} tokens, the context leaves room for "
        f"{prompt.budget_tokens}, and infill.truncation.enabled is off"
    )
