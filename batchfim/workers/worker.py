"""A worker: read shards, run them through the pipeline of one engine, and write their parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import pyarrow as pa

from batchfim.arrow import take_rows
from batchfim.engines.build import build_engine
from batchfim.engines.engine import Drafts, Engine, EngineInfo
from batchfim.errors import BatchfimError, EngineDead, InputError, StorageError
from batchfim.metrics.shard_report import Retried, ShardReport, sample_fields
from batchfim.models.infiller import Infiller
from batchfim.records import Completion
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
from batchfim.workers.retried import Retry, completions

_FILES_AT_ONCE = 8
_THREADS = 32  # most of them wait for storage
_FEW_SHARDS, _BYTES_IN_HAND = 16, 128 << 20


@dataclass(frozen=True)
class _ShardWork:
    """The work on a lease: all rows of its shard, or only those that a retry processes again."""

    in_hand: RowsInHand
    retry: Retry | None
    started_at: float

    @property
    def num_bytes(self) -> int:
        return int(self.in_hand.rows.nbytes + (self.retry.part.nbytes if self.retry else 0))


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
        self._num_samples = config.sampling.n
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
            await self._pipeline.fill(work.in_hand, begun)
            drafts = self._engine.take_drafts()
            return await asyncio.to_thread(self._write, lease, work, drafts)
        finally:
            self._in_hand.leave(lease)

    async def stop(self) -> None:
        """Stop the engine."""
        await self._engine.stop()

    def _read(self, lease: Lease) -> _ShardWork:
        started_at, started_s = time.time(), time.monotonic()
        shard, retry = lease.shard, None
        rows = self._reader.read(shard)
        places: Sequence[int] = range(rows.num_rows)
        if self._retry:
            retry = Retry.of(read_part(self._ledger.part(shard.id)), self._num_samples)
            places = retry.places
            rows = take_rows(rows, places)
        in_hand = RowsInHand(
            id=shard.id,
            rows=rows,
            source=shard.path,
            content=shard.content,
            numbers=[shard.start + place for place in places],
            failure=lease.failure,
            language=self._language,
        )
        in_hand.phases_s["read_s"] = time.monotonic() - started_s
        return _ShardWork(in_hand, retry, started_at)

    def _write(self, lease: Lease, work: _ShardWork, drafts: Drafts) -> ShardReport:
        started_s, drafted = time.monotonic(), asdict(drafts)
        retry, retried = work.retry, None
        finished = work.in_hand.finished()
        attempt = retry.attempt(lease.attempt) if retry else lease.attempt
        table = self._table(work.in_hand, finished, attempt)
        samples = [sample for row in finished for sample in row]
        if retry:
            retried = Retried.of(samples, drafted, records=len(finished), attempt=attempt)
            table = retry.merged(table)
            samples = completions(table)
        staged = self._ledger.staged(self._run, lease.shard.id, lease.attempt)
        checksum, size_bytes = write_part(staged, table, self._config.output.compression)
        work.in_hand.phases_s["write_s"] = time.monotonic() - started_s
        return ShardReport(
            shard_id=lease.shard.id,
            attempt=lease.attempt,
            run=self._run,
            worker=self.name,
            started_at=work.started_at,
            records=table.num_rows // self._num_samples,
            retried=retried,
            **sample_fields(samples, drafted),
            checksum=checksum,
            size_bytes=size_bytes,
            **work.in_hand.phases_s,
        )

    def _table(
        self, in_hand: RowsInHand, finished: list[list[Completion]], attempt: int
    ) -> pa.Table:
        """The output rows of the rows in hand."""
        kept = in_hand.rows
        if self._adds_source:
            kept = with_source(kept, in_hand.source, in_hand.numbers)
        return part_table(
            as_kept(kept, self._kept),
            finished,
            family=self._family,
            worker=self.name,
            attempt=attempt,
        )


def _kind_of(error: BatchfimError) -> FailureKind:
    table = (
        (EngineDead, FailureKind.ENGINE),
        (StorageError, FailureKind.STORAGE),
        (InputError, FailureKind.INPUT),
    )
    return next((kind for of, kind in table if isinstance(error, of)), FailureKind.TASK)
