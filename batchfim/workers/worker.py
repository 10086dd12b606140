"""A worker: read shards, run them through the pipeline of one engine, and write their parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import pyarrow as pa

from batchfim.engines.build import build_engine
from batchfim.engines.engine import Drafts, Engine, EngineInfo
from batchfim.errors import BatchfimError, EngineDead, InputError, StorageError
from batchfim.metrics.shard_report import (
    Counts,
    Retried,
    ShardReport,
    endings,
    errors,
    sizes,
    timings,
)
from batchfim.models.infiller import Infiller
from batchfim.shards import Lease
from batchfim.storage.inputs import languages_to_read
from batchfim.storage.kept import SOURCE, as_kept, with_source
from batchfim.storage.ledger import Ledger
from batchfim.storage.parts import part_table, read_part, write_part
from batchfim.storage.rows import RowReader, columns_to_read
from batchfim.workers.in_flight import InHand
from batchfim.workers.job_model import check_loaded, open_job_model
from batchfim.workers.pipeline import Pipeline, RowsInHand
from batchfim.workers.pool import FailureKind, ShardFailure, WorkerSpec
from batchfim.workers.retried import completions as samples_of
from batchfim.workers.retried import failed_records, last_attempt, merged

_FILES_AT_ONCE = 8
_THREADS = 32  # most of them wait for storage
_FEW_SHARDS, _BYTES_IN_HAND = 16, 128 << 20


@dataclass(kw_only=True)
class _ShardRows(RowsInHand):
    """The rows of a lease.

    `places` are the rows' places in the shard. If the shard is retried, only its failed records
    are included, and `before` is its existing part.
    """

    places: Sequence[int]
    before: pa.Table | None
    started_at: float

    @property
    def num_bytes(self) -> int:
        return int(self.rows.nbytes + (self.before.nbytes if self.before else 0))


class Worker:
    """Processes several shards at once on one engine, so that it is not idle between shards."""

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
        self._run = spec.run
        self._retry = spec.retry
        self._config = config
        self._kept = spec.kept
        self._family = infiller.encoder.form.family
        self._engine = engine
        self._pipeline = Pipeline(config, infiller, engine, max_num_seqs=max_num_seqs)
        self._language = languages_to_read(config.infill, spec.language_columns)
        # A regrouped copy has the columns already.
        self._adds_source = config.output.source and not config.planning.regroups
        added = SOURCE.names if self._adds_source else ()
        names = [name for name in self._kept.names if name not in added] + self._language.names
        self._reader = RowReader(columns_to_read(config.input.columns, names))
        self._ledger = Ledger.at(config.output.path)
        # Fair locks, so shards of one file are read in lease order.
        self._turns = [asyncio.Lock() for _ in range(_FILES_AT_ONCE)]
        self._in_hand = InHand(_FEW_SHARDS, _BYTES_IN_HAND)

    @classmethod
    async def start(cls, name: str, spec: WorkerSpec) -> tuple[Worker, EngineInfo]:
        """Open the model and start the engine.

        Raises:
            ModelError, EngineStartError: the worker cannot start.
        """
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        infiller = await asyncio.to_thread(open_job_model, spec)
        engine = build_engine(spec.config, infiller)
        info = await engine.start()
        try:
            await asyncio.to_thread(check_loaded, spec, infiller)
        except BatchfimError:
            await engine.stop()
            raise
        return cls(name, spec, infiller, engine, max_num_seqs=info.max_num_seqs), info

    @property
    def num_steps(self) -> int:
        """Steps made on any shard, by which the driver detects a stalled worker."""
        return self._reader.num_reads + self._pipeline.num_steps

    @property
    def num_in_flight(self) -> int:
        """Records handed to the engine and not yet finished."""
        return self._pipeline.num_in_flight

    async def work(
        self, lease: Lease, begun: Callable[[], None] = lambda: None
    ) -> ShardReport | ShardFailure:
        """Process a lease; errors are returned, not raised, so they cannot affect other shards.

        Args:
            lease: lease of a shard.
            begun: called once the engine has all prompts of the shard.
        """
        try:
            return await self.run_shard(lease, begun)
        except BatchfimError as error:
            return ShardFailure(str(error), _kind_of(error))
        except Exception as error:  # a failure must not affect other shards
            return ShardFailure(f"{type(error).__name__}: {error}")

    async def run_shard(self, lease: Lease, begun: Callable[[], None]) -> ShardReport:
        """Complete every record of a shard and stage its part.

        Raises:
            EngineDead: the engine is gone; nothing was staged.
            InputError, StorageError: the rows cannot be read, or the part cannot be written.
        """
        try:
            async with self._turns[hash(lease.shard.path) % _FILES_AT_ONCE]:
                await self._in_hand.enter(lease)
                work = await asyncio.to_thread(self._read, lease)
            self._in_hand.add(lease, work.num_bytes)
            await self._pipeline.fill(work, begun)
            drafts = self._engine.take_drafts()
            return await asyncio.to_thread(self._write, lease, work, drafts)
        finally:
            self._in_hand.leave(lease)

    async def stop(self) -> None:
        """Stop the engine."""
        await self._engine.stop()

    def _read(self, lease: Lease) -> _ShardRows:
        started_at, started_s = time.time(), time.monotonic()
        shard = lease.shard
        rows, before = self._reader.read(shard), None
        places: Sequence[int] = range(rows.num_rows)
        if self._retry:
            before = read_part(self._ledger.part(shard.id))
            places = failed_records(before, self._config.sampling.n)
            rows = rows.take(pa.array(places, pa.int64()))
        work = _ShardRows(
            id=shard.id,
            rows=rows,
            source=shard.path,
            content=shard.content,
            numbers=[shard.start + place for place in places],
            failure=lease.failure,
            language=self._language,
            places=places,
            before=before,
            started_at=started_at,
        )
        work.phases_s["read_s"] = time.monotonic() - started_s
        return work

    def _with_source(self, work: _ShardRows) -> pa.Table:
        if not self._adds_source:
            return work.rows
        return with_source(work.rows, work.source, work.numbers)

    def _write(self, lease: Lease, work: _ShardRows, drafts: Drafts) -> ShardReport:
        started_s, drafted = time.monotonic(), asdict(drafts)
        completions = work.finished()
        attempt = lease.attempt + (last_attempt(work.before) if work.before else 0)
        table = part_table(
            as_kept(self._with_source(work), self._kept),
            completions,
            family=self._family,
            worker=self.name,
            attempt=attempt,
        )
        samples = [sample for row in completions for sample in row]
        num_records, retried = work.rows.num_rows, None
        if work.before is not None:
            retried = Retried(
                records=num_records,
                counts=Counts.of(samples).model_copy(update=drafted),
                attempt=attempt,
                timings={name: told.total for name, told in timings(samples).items()},
            )
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
            counts=Counts.of(samples).model_copy(update=drafted),
            retried=retried,
            **endings(samples),
            errors=errors(samples),
            timings=timings(samples),
            sizes=sizes(samples),
            checksum=checksum,
            size_bytes=size_bytes,
            **work.phases_s,
        )


def _kind_of(error: BatchfimError) -> FailureKind:
    table = (
        (EngineDead, FailureKind.ENGINE),
        (StorageError, FailureKind.STORAGE),
        (InputError, FailureKind.INPUT),
    )
    return next((kind for of, kind in table if isinstance(error, of)), FailureKind.TASK)
