"""Evaluate an output: read its parts, score each row, write what came out beside it.

One part is in memory at a time, and of the scores only sums, so an output may have any number of
rows.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from batchfim.errors import InputError
from batchfim.quality.results import Results
from batchfim.quality.rows import Scored, Sources, chunks, read_rows, score
from batchfim.quality.sources import find_sources
from batchfim.quality.writing import ScoreFiles, write_evaluation
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.storage.parts import read_part

A = TypeVar("A")
B = TypeVar("B")
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to evaluate and how.

    Attributes:
        middle: the column with the text.
        reference: the one to compare it with; None: `middle_reference`, where there is one.
        seed: of the intervals' draws.
        resamples: draws of all records.
    """

    middle: str = "middle"
    reference: str | None = None
    seed: int = 0
    resamples: int = 1000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a part; `first` is the place of the first."""

    part: str
    first: int
    table: pa.Table


def evaluate_job(
    output: str, options: Options | None = None, *, tell: Tell = lambda read, total: None
) -> dict[str, Any]:
    """Score the finished rows of a job, also while it runs.

    Args:
        output: path or URL of the job.
        options: what to evaluate and how.
        tell: hears the number of rows scored so far and in all, as they go by.

    Returns:
        what `_batchfim/evaluation.json` says; see `results.Results.told`.

    Raises:
        OutputError: there is no job.
        InputError: a column that was asked for is missing, or no row is `ok`.
        StorageError: a part cannot be read, or the results not be written.
    """
    options = options or Options()
    ledger = Ledger(Location.of(output))
    columns = ledger.job()["fields"]["columns"]
    done = ledger.done()
    counts = done.totals.summary()["rows"]
    parts = sorted(set(done.ids.to_pylist()) & ledger.part_ids())
    if not counts["ok"] or not parts:
        raise InputError(_nothing(output, counts))
    schema = read_part(ledger.part(parts[0])).schema
    sources, notes = find_sources(schema, columns, options.middle, options.reference)
    results = Results(output, sources, options.seed, options.resamples, notes)
    files = ScoreFiles(ledger.root / "evaluation", results.metrics)
    for chunk, scored in _scored(ledger, parts, sources):
        results.add(scored)
        files.add(chunk.part, scored)
        tell(results.num_rows, counts["ok"])
    files.flush()
    told = results.told(counts)
    write_evaluation(ledger, told)
    return told


def _nothing(output: str, counts: dict[str, int]) -> str:
    return (
        f"{output}: no row is ok ({counts['rejected']:,} rejected, {counts['failed']:,} failed), "
        f"so there is nothing to evaluate; see what went wrong: batchfim status {output}"
    )


def _scored(
    ledger: Ledger, parts: list[str], sources: Sources
) -> Iterator[tuple[Chunk, list[Scored]]]:
    """All rows, in the parts' order, scored by several threads."""

    def work(chunk: Chunk) -> tuple[Chunk, list[Scored]]:
        return chunk, [score(row) for row in read_rows(chunk.table, chunk.first, sources)]

    found = (
        Chunk(part, first, table)
        for part in parts
        for first, table in chunks(read_part(ledger.part(part), sources.names))
    )
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        yield from _in_order(pool, work, found, 2 * threads)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], ahead: int
) -> Iterator[B]:
    """As `pool.map`, but only some items ahead of who takes the results."""
    waiting: deque[Future[B]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
