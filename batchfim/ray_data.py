"""batchfim in a Ray Data pipeline: a job's results as a source, infilling as a step."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pyarrow as pa
import ray.data

from batchfim.absolute_paths import absolute
from batchfim.api import open_results
from batchfim.config import JobConfig
from batchfim.config_file import check_config, laid_over
from batchfim.engines.build import build_engine, resolve_job
from batchfim.engines.engine import Engine
from batchfim.errors import ConfigError, EngineDead
from batchfim.infiller import open_infiller
from batchfim.records import CONTEXT_TYPE, OUTPUT_FIELDS, LanguageColumns, output_schema
from batchfim.running import num_gpus
from batchfim.storage.inputs import (
    check_columns,
    check_languages,
    find_language_columns,
    languages_to_read,
)
from batchfim.storage.parts import part_table
from batchfim.storage.rows import without_views
from batchfim.workers.loop_thread import LoopThread
from batchfim.workers.pipeline import Pipeline, RowsInHand
from batchfim.workers.placing import actor_options, share_cores_of_node

_SOURCE = "the data set"
_NO_FILES = {"input": {"paths": [_SOURCE]}, "output": {"path": _SOURCE}}
_BATCH_ROWS = 512
# Ray Data works up to four batches of a block at once; with the next block, no border is waited at.
_BLOCKS_AT_ONCE = 2
_STOP_S = 20.0
_LOOK_S = 30.0
_log = logging.getLogger(__name__)


def read_results(output: str) -> ray.data.Dataset:
    """The rows of the job at a path or URL that are finished now; later ones are not added.

    Raises:
        OutputError: no job is there.
        StorageError: a file of the ledger is damaged.
    """
    found = open_results(output)
    if not found.files:
        return ray.data.from_arrow(pa.schema(OUTPUT_FIELDS).empty_table())
    return ray.data.read_parquet(found.files, filesystem=found.filesystem, partitioning=None)


def infill(rows: ray.data.Dataset, config: JobConfig | Mapping[str, Any]) -> ray.data.Dataset:
    """Fill the hole of every row, on as many engines as the config has workers.

    A row comes out with its own columns and those of a job's output, whatever its status, once for
    each sample; rows of a block keep their order. Greedy middles are a job's own, but for
    `infill.order: auto`, which goes by the company a row is worked in: here its batch. With a
    temperature a record's seed is made of its texts, and not, as in a job, of its place in a file:
    identical rows draw the same samples.

    Exactly once is not promised: Ray Data works a batch again whose worker or machine was lost, by
    its own default without end, and keeps no ledger, so that a pipeline that ends early starts
    anew, as where an engine dies. `run_job` is for that.

    Args:
        rows: with the columns `input.columns` names.
        config: a job's, or the sections of one. Not used: `input.paths`, `output`, `planning`,
            `metrics` and, of `schedule`, what concerns shards; `schedule.shard_rows` is the size
            of a batch (unset: 512).

    Raises:
        ConfigError, ModelError: as `run_job`; nothing was worked.
        InputError: a column is missing or has a wrong type, where Ray Data knows that by now; else
            the error in which the pipeline ends tells it.
    """
    config = absolute(_job(config))
    config, _ = resolve_job(config)
    known = rows.schema(fetch_if_missing=False)
    if known is not None and isinstance(known.base_schema, pa.Schema):
        _check(known.base_schema, config)
    workers = config.schedule.workers
    asked = actor_options(config, num_gpus(config), None)
    del asked["scheduling_strategy"]  # Ray Data has its own
    return rows.map_batches(
        InfillStep,
        fn_constructor_kwargs={"config": config},
        batch_size=config.schedule.shard_rows or _BATCH_ROWS,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=workers.min,
            max_size=workers.max,
            max_concurrent_calls_per_actor=_BLOCKS_AT_ONCE,
        ),
        **{name: value for name, value in asked.items() if value is not None},
    )


class InfillStep:
    """One engine and the pipeline before it, as a class for `map_batches`; `infill` calls it so.

    It wants `batch_format="pyarrow"`, and `max_concurrent_calls_per_actor` above 1 to keep the
    engine full from one block to the next.
    """

    def __init__(self, config: JobConfig | Mapping[str, Any]) -> None:
        """Start the engine.

        Raises:
            ConfigError, ModelError, EngineStartError: it cannot come up.
        """
        self._config = _job(config)
        self._numbers = itertools.count()
        share_cores_of_node(self._config)
        infiller = open_infiller(self._config, weights=True)
        self._family = infiller.encoder.form.family
        engine = build_engine(self._config, infiller)
        # Ray Data's own loop stands still while it hands batches over.
        self._thread = LoopThread("engine")
        # Also where the process exits first, or the last batch's end drops the step.
        weakref.finalize(self, _end, engine, self._thread)
        info = self._thread.run(engine.start()).result()
        self._pipeline = Pipeline(self._config, infiller, engine, max_num_seqs=info.max_num_seqs)

    async def __call__(self, batch: pa.Table) -> AsyncIterator[pa.Table]:
        """The batch's rows with the columns of a job's output.

        Raises:
            InputError: a column is missing or has a wrong type.
            EngineDead: there is no engine any more, or it made no step for
                `schedule.stall_timeout_s`.
        """
        yield await self._unless_stalled(asyncio.wrap_future(self._thread.run(self._fill(batch))))

    async def _unless_stalled(self, filling: asyncio.Future[pa.Table]) -> pa.Table:
        limit_s = self._config.schedule.stall_timeout_s
        steps, stepped_s = self._pipeline.num_steps, time.monotonic()
        try:
            while not (await asyncio.wait([filling], timeout=min(_LOOK_S, limit_s / 4)))[0]:
                now_s = time.monotonic()
                if self._pipeline.num_steps != steps:
                    steps, stepped_s = self._pipeline.num_steps, now_s
                elif now_s - stepped_s >= limit_s:
                    raise EngineDead(f"the engine made no step for {now_s - stepped_s:.0f} s")
            return filling.result()
        finally:
            filling.cancel()

    async def _fill(self, batch: pa.Table) -> pa.Table:
        rows = without_views(batch)
        kept, language = _check(rows.schema, self._config)
        in_hand = RowsInHand(id=f"batch-{next(self._numbers)}", rows=rows, language=language)
        await self._pipeline.complete(in_hand)
        return await asyncio.to_thread(
            part_table,
            rows.select(kept),
            in_hand.finished(),
            family=self._family,
            worker=f"{socket.gethostname()}-{os.getpid()}",
            attempt=1,
        )


def _end(engine: Engine, thread: LoopThread) -> None:
    thread.end(engine.stop(), _STOP_S)


def _job(given: JobConfig | Mapping[str, Any]) -> JobConfig:
    config = given
    if not isinstance(config, JobConfig):
        config = check_config(laid_over(_NO_FILES, dict(config)), "the config of a Ray Data step")
    if config.resources.nodes_per_worker > 1:
        raise ConfigError(
            "resources.nodes_per_worker: the engine of a Ray Data step lies on one machine; leave "
            "it out, or use run_job"
        )
    return config


def _check(schema: pa.Schema, config: JobConfig) -> tuple[list[str], LanguageColumns]:
    """The columns that ride along, and those that tell a row's language, where all are right."""
    columns = config.input.columns
    texts = ["language", "path", *columns.names.values()]  # the first two are read unasked
    types = dict.fromkeys(texts, pa.string()) | {columns.context: CONTEXT_TYPE}
    schema = pa.schema(  # of a block in which a column is null throughout, Arrow knows no more
        [
            field.with_type(types[field.name])
            if pa.types.is_null(field.type) and field.name in types
            else field
            for field in schema
        ]
    )
    kept = check_columns(_SOURCE, schema, config.input)
    output_schema(kept, _SOURCE)
    languages = find_language_columns(columns, [schema])
    check_languages(config.infill, languages)
    return kept.names, languages_to_read(config.infill, languages)
