"""Ray Data integration: read a job's results as a dataset, or run infilling as a pipeline step."""

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

from batchfim.api import open_results
from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.config.absolute_paths import absolute
from batchfim.config.files import check_config, laid_over
from batchfim.engines.build import build_engine, resolve_job
from batchfim.engines.engine import Engine
from batchfim.errors import ConfigError, EngineDead
from batchfim.models.infiller import open_infiller
from batchfim.records import CONTEXT_TYPE, LanguageColumns, output_schema
from batchfim.storage.inputs import (
    check_columns,
    check_languages,
    find_language_columns,
    languages_to_read,
)
from batchfim.storage.kept import as_kept
from batchfim.storage.parts import part_table
from batchfim.storage.rows import without_views
from batchfim.workers.loop_thread import LoopThread
from batchfim.workers.pipeline import Pipeline, RowsInHand
from batchfim.workers.placing import actor_options, share_cores_of_node

_SOURCE = "the data set"
_NO_FILES = {"input": {"paths": [_SOURCE]}, "output": {"path": _SOURCE}}
_BATCH_ROWS = 512
# Ray Data runs up to four batches of a block at once; with two blocks at once, the engine does not
# wait at the border between blocks.
_BLOCKS_AT_ONCE = 2
_STOP_S = 20.0
_LOOK_S = 30.0
_log = logging.getLogger(__name__)


def read_results(output: str) -> ray.data.Dataset:
    """Read the rows of the job at a path or URL that are finished now; later ones are not added.

    Raises:
        OutputError: there is no job at `output`.
        StorageError: a file of the ledger is damaged.
    """
    found = open_results(output)
    if not found.files:
        return ray.data.from_arrow(found.schema.empty_table())
    return ray.data.read_parquet(found.files, filesystem=found.filesystem, partitioning=None)


def infill(rows: ray.data.Dataset, config: JobConfig | Mapping[str, Any]) -> ray.data.Dataset:
    """Fill the hole of every row, on as many engines as the config has workers.

    Each row, whatever its status, comes out once per sample, with its own columns and those of a
    job's output; rows of a block keep their order. Greedy middles equal those of a job, except
    with `infill.order: auto`, which depends on the rows processed together, here a batch. With a
    temperature, a record's seed is derived from its texts, not, as in a job, from its place in a
    file, so identical rows draw the same samples.

    Rows are not guaranteed to be processed exactly once: Ray Data runs a batch again, by default
    without limit, if its worker or machine was lost, and it keeps no ledger, so a pipeline that
    ends early, for example because an engine dies, starts over. Use `run_job` to avoid that.

    Args:
        rows: a dataset with the columns named in `input.columns`.
        config: the config of a job, or its sections. Not used: `input.paths`, `output`,
            `planning`, `metrics` and the settings of `schedule` that concern shards, except that
            `schedule.shard_rows` is the batch size (unset: 512).

    Raises:
        ConfigError, ModelError: as `run_job`; nothing was processed.
        InputError: a column is missing or has a wrong type, if Ray Data already knows the schema;
            otherwise the pipeline ends with this error.
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
    """One engine and its pipeline, as a callable class for `map_batches`; used by `infill`.

    It needs `batch_format="pyarrow"`, and `max_concurrent_calls_per_actor` above 1 to keep the
    engine full from one block to the next.
    """

    def __init__(self, config: JobConfig | Mapping[str, Any]) -> None:
        """Start the engine.

        Raises:
            ConfigError, ModelError, EngineStartError: the engine cannot start.
        """
        self._config = _job(config)
        self._numbers = itertools.count()
        share_cores_of_node(self._config)
        infiller = open_infiller(self._config, weights=True)
        self._family = infiller.encoder.form.family
        engine = build_engine(self._config, infiller)
        # Ray Data's own event loop is blocked while it hands batches over.
        self._thread = LoopThread("engine")
        # Stops the engine also if the process exits first, or the step is dropped after its last
        # batch.
        weakref.finalize(self, _end, engine, self._thread)
        info = self._thread.run(engine.start()).result()
        self._pipeline = Pipeline(self._config, infiller, engine, max_num_seqs=info.max_num_seqs)

    async def __call__(self, batch: pa.Table) -> AsyncIterator[pa.Table]:
        """Yield the batch's rows with the columns of a job's output.

        Raises:
            InputError: a column is missing or has a wrong type.
            EngineDead: the engine is gone, or made no progress for `schedule.stall_timeout_s`.
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
                    raise EngineDead(f"the engine made no progress for {now_s - stepped_s:.0f} s")
            return filling.result()
        finally:
            filling.cancel()

    async def _fill(self, batch: pa.Table) -> pa.Table:
        rows = without_views(batch)
        kept, language = _check(rows.schema, self._config)
        in_hand = RowsInHand(id=f"batch-{next(self._numbers)}", rows=rows, language=language)
        await self._pipeline.fill(in_hand)
        return await asyncio.to_thread(
            part_table,
            as_kept(rows, kept),
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
            "resources.nodes_per_worker: the engine of a Ray Data step runs on one machine; leave "
            "it unset, or use run_job"
        )
    return config


def _check(schema: pa.Schema, config: JobConfig) -> tuple[pa.Schema, LanguageColumns]:
    """Validate the schema; return the columns to keep and those that give a row's language."""
    columns = config.input.columns
    texts = ["language", "path", *columns.names.values()]  # the first two are used by default
    types = dict.fromkeys(texts, pa.string()) | {columns.context: CONTEXT_TYPE}
    schema = pa.schema(  # Arrow types a column that is null throughout a block as null
        [
            field.with_type(types[field.name])
            if pa.types.is_null(field.type) and field.name in types
            else field
            for field in schema
        ]
    )
    kept = check_columns(_SOURCE, schema, config.input)
    output_schema(kept, _SOURCE, has_flags=False)
    languages = find_language_columns(columns, [schema])
    check_languages(config.infill, languages)
    return kept, languages_to_read(config.infill, languages)
