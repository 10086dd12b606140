"""Whole small jobs in a process of their own: a crash or a hang there is seen, and is a finding."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

SETTINGS = (
    "engine.backend=simulated",
    "engine.simulated.decode_tokens_per_s=1e9",
    "schedule.pool=local",
    "schedule.shard_rows=4",
    "schedule.task_attempts=1",
    "schedule.node_losses=1",
    "metrics.progress=none",
    "metrics.report=false",
)
_HANGS_S = 120


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a summary, with one of our errors, or with a foreign one's traceback.

    `parts` is what is visible: the output rows by file name.
    """

    summary: dict[str, Any] | None = None
    error: str = ""
    traceback: str = ""
    parts: dict[str, pa.Table] = field(default_factory=dict)

    def column(self, name: str) -> list[Any]:
        return [value for part in self.parts.values() for value in part[name].to_pylist()]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for part in self.parts.values() for row in part.to_pylist()]


def run_here(records: Path, output: Path, sets: tuple[str, ...] = ()) -> Outcome:
    """Run a job in this process."""
    from batchfim.api import run_job
    from batchfim.config.files import load_config
    from batchfim.errors import BatchfimError

    flags = {"input.paths": [str(records)], "output.path": str(output), "model.path": "demo"}
    summary, error, trace = None, "", ""
    try:
        summary = run_job(load_config(None, flags, (*SETTINGS, *sets))).summary
    except BatchfimError as ours:
        error = f"{type(ours).__name__}: {ours}"
    except BaseException:
        trace = traceback.format_exc()
    return Outcome(summary, error, trace, _parts(output))


def _parts(output: Path) -> dict[str, pa.Table]:
    return {
        file.name: ds.dataset(file).to_table() for file in sorted(output.glob("part-*.parquet"))
    }


def read_here(path: Path, columns: list[str]) -> pa.Table | str:
    """Read a file as a run does, shard by shard, without working it; or what our error says."""
    from batchfim.config import Input
    from batchfim.errors import InputError
    from batchfim.planning.cutting import cut_shards
    from batchfim.storage.inputs import open_inputs
    from batchfim.storage.rows import RowReader

    try:
        files = open_inputs(Input(paths=(str(path),))).files
        reader = RowReader(columns)
        tables = [reader.read(shard) for shard in cut_shards(files, 4, "")]
        return pa.concat_tables(tables) if tables else pa.table({})
    except InputError as error:
        return str(error)


class Runner:
    """Calls functions in another process, and starts it anew where one kills it."""

    def __init__(self) -> None:
        self._start()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """What `function(*args)` returns there.

        Raises:
            BrokenProcessPool, TimeoutError: it killed its process, or did not end.
        """
        try:
            return self._pool.submit(function, *args).result(_HANGS_S)
        except (BrokenProcessPool, TimeoutError):
            self.close()
            self._start()
            raise

    def run(self, records: Path, output: Path, *sets: str) -> Outcome:
        """Run a job."""
        outcome: Outcome = self.call(run_here, records, output, sets)
        return outcome

    def run_bytes(self, data: bytes, *sets: str) -> Outcome:
        """Run a job on one file with these bytes."""
        folder = Path(tempfile.mkdtemp(prefix="batchfim-fuzz-"))
        try:
            (folder / "a.parquet").write_bytes(data)
            return self.run(folder / "a.parquet", folder / "out", *sets)
        finally:
            shutil.rmtree(folder)

    def close(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, initializer=_be_quiet)


def _be_quiet() -> None:
    """What a run logs of a thousand damaged files helps nobody; Arrow itself writes there too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
