"""One engine and the pipeline around it: a shard through read, encode, generate, finish, write."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

import pyarrow as pa

from batchfim.engines.build import build_engine
from batchfim.engines.engine import Engine, EngineInfo, Generation, Request
from batchfim.errors import EngineDead, RequestRefused, TryAgain
from batchfim.formats.encoder import Prompt, TooLong
from batchfim.infiller import Infiller, open_infiller
from batchfim.metrics.report import Counts, ShardReport, errors, finish_reasons, timings
from batchfim.planning.ordering import sharing_order
from batchfim.records import Completion, Fault, Hole, Status, read_holes
from batchfim.shards import Lease, Shard
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.storage.parts import part_table, write_part
from batchfim.storage.rows import RowReader, columns_to_read
from batchfim.workers.in_flight import InFlight
from batchfim.workers.pool import ShardFailure, WorkerSpec


@dataclass
class _Work:
    """A shard in hand: per row either a prompt still to complete, or its finished samples."""

    rows: pa.Table
    prompts: dict[int, Prompt] = field(default_factory=dict)
    completions: dict[int, list[Completion]] = field(default_factory=dict)
    phases_s: dict[str, float] = field(default_factory=dict)


class Worker:
    """Works shards on one engine; several at once, so that the engine never waits for a border."""

    def __init__(self, name: str, spec: WorkerSpec, infiller: Infiller, engine: Engine) -> None:
        config = spec.config
        self.name = name
        self._run = spec.run
        self._config = config
        self._kept = list(spec.kept_columns)
        self._infiller = infiller
        self._engine = engine
        self._reader = RowReader(columns_to_read(config.input.columns, self._kept))
        self._ledger = Ledger(Location.of(config.output.path))
        self._in_flight = InFlight(
            config.schedule.in_flight_records, config.schedule.in_flight_tokens
        )
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
        return cls(name, spec, infiller, engine), info

    async def work(self, lease: Lease) -> ShardReport | ShardFailure:
        """Work a lease. The shard boundary: whatever goes wrong inside is recorded, not raised."""
        try:
            return await self.run_shard(lease)
        except EngineDead as error:
            return ShardFailure(str(error), worker_lost=True)
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
        await asyncio.to_thread(self._encode, lease, work)
        await self._generate(lease.shard, work)
        return await asyncio.to_thread(self._write, lease, work)

    async def stop(self) -> None:
        """End the engine."""
        await self._engine.stop()

    def _read(self, shard: Shard) -> _Work:
        started_s = time.monotonic()
        work = _Work(self._reader.read(shard))
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
                where = f"{lease.shard.path}, row {lease.shard.start + row}: "
                work.completions[row] = self._samples(Status.REJECTED, hole.reason, where)
            elif lease.verdict is not None:
                work.completions[row] = self._samples(Status.FAILED, lease.verdict)
            else:
                holes[row] = hole
        prompts = self._infiller.encoder.encode(
            [hole.prefix for hole in holes.values()],
            [hole.suffix for hole in holes.values()],
            [hole.around for hole in holes.values()],
        )
        for row, prompt in zip(holes, prompts, strict=True):
            if isinstance(prompt, TooLong):
                work.completions[row] = self._samples(Status.REJECTED, _too_long(prompt))
            else:
                work.prompts[row] = prompt
        work.phases_s["encode_s"] = time.monotonic() - started_s

    async def _generate(self, shard: Shard, work: _Work) -> None:
        started_s = time.monotonic()
        rows = list(work.prompts)
        order = sharing_order([work.prompts[row].token_ids for row in rows])
        tasks = []
        async with self._entering:
            for position in order:
                prompt = work.prompts[rows[position]]
                await self._in_flight.enter(len(prompt.token_ids))
                tasks.append(asyncio.create_task(self._complete(shard, rows[position], work)))
        await asyncio.gather(*tasks)
        work.phases_s["generate_s"] = time.monotonic() - started_s

    async def _complete(self, shard: Shard, row: int, work: _Work) -> None:
        prompt = work.prompts[row]
        try:
            work.completions[row] = await self._ask_engine(shard, row, prompt)
        finally:
            await self._in_flight.leave(len(prompt.token_ids))

    async def _ask_engine(self, shard: Shard, row: int, prompt: Prompt) -> list[Completion]:
        seed = record_seed(self._config.sampling.seed, shard.content, shard.start + row)
        request = Request(f"{shard.id}-{row}", prompt.token_ids.tolist(), seed)
        failure = ""
        for _ in range(self._config.schedule.record_attempts):
            try:
                generations = await self._engine.generate(request)
            except RequestRefused as error:
                return self._samples(Status.REJECTED, f"the engine refused the prompt: {error}")
            except TryAgain as error:
                failure = str(error)
            else:
                return [self._finish(prompt, i, one) for i, one in enumerate(generations)]
        return self._samples(Status.FAILED, f"the engine failed on this record: {failure}")

    def _finish(self, prompt: Prompt, sample: int, generation: Generation) -> Completion:
        raw_middle = self._infiller.finisher.raw_middle(generation.token_ids)
        timing = generation.timing
        return Completion(
            status=Status.OK,
            sample=sample,
            middle=raw_middle,
            raw_middle=raw_middle,
            finish_reason=generation.finish_reason,
            prompt_tokens=generation.prompt_tokens,
            cached_tokens=generation.cached_tokens,
            completion_tokens=len(generation.token_ids),
            truncated_prefix_tokens=prompt.truncated_prefix_tokens,
            truncated_suffix_tokens=prompt.truncated_suffix_tokens,
            truncated_context_tokens=prompt.truncated_context_tokens,
            queue_s=timing.queue_s,
            ttft_s=timing.ttft_s,
            tpot_s=timing.tpot_s,
            latency_s=timing.latency_s,
        )

    def _samples(self, status: Status, reason: str, where: str = "") -> list[Completion]:
        return [
            Completion(status=status, sample=sample, error=where + reason, reason=reason)
            for sample in range(self._config.sampling.n)
        ]

    def _write(self, lease: Lease, work: _Work) -> ShardReport:
        started_s = time.monotonic()
        completions = [work.completions[row] for row in range(work.rows.num_rows)]
        table = part_table(
            work.rows.select(self._kept),
            completions,
            family=self._infiller.encoder.form.family,
            order=self._infiller.encoder.order,
            worker=self.name,
            attempt=lease.attempt,
        )
        staged = self._ledger.staged(self._run, lease.shard.id, lease.attempt)
        checksum, size_bytes = write_part(staged, table, self._config.output.compression)
        work.phases_s["write_s"] = time.monotonic() - started_s
        flat = [sample for samples in completions for sample in samples]
        return ShardReport(
            shard_id=lease.shard.id,
            attempt=lease.attempt,
            worker=self.name,
            records=work.rows.num_rows,
            counts=Counts.of(flat),
            finish_reasons=finish_reasons(flat),
            errors=errors(flat),
            timings=timings(flat),
            checksum=checksum,
            size_bytes=size_bytes,
            **work.phases_s,
        )


def record_seed(job_seed: int, content: str, row: int) -> int:
    """A record's seed, 32 bits: the same for every attempt, whoever makes it and wherever."""
    text = f"{job_seed} {content} {row}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest())


def _too_long(prompt: TooLong) -> str:
    return (
        f"the prompt has {prompt.prompt_tokens} tokens, the context leaves room for "
        f"{prompt.budget_tokens}, and infill.truncation.enabled is off"
    )
