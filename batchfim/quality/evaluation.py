"""Evaluate an output: read its parts, score each row, write the results beside it.

An output may have any number of rows: only one part at a time and the sums of scores are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

import pyarrow as pa

from batchfim.accounts.status import num_samples
from batchfim.engines.cpu import cores_here
from batchfim.errors import InputError, StorageError
from batchfim.quality.functional import find_tests, run_tests
from batchfim.quality.options import Options
from batchfim.quality.results import Results
from batchfim.quality.rows import Scored, chunks, read_rows, score
from batchfim.quality.rules import find_rule
from batchfim.quality.sources import find_sources
from batchfim.quality.writing import ScoreFiles
from batchfim.storage.ledger import Ledger
from batchfim.storage.parts import read_part

A = TypeVar("A")
B = TypeVar("B")
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a part; `first` is the position of the first."""

    part: str
    first: int
    table: pa.Table


def evaluate_job(
    output: str, options: Options | None = None, *, tell: Tell = lambda read, total: None
) -> dict[str, Any]:
    """Score the finished rows of a job, which may still be running.

    Args:
        output: path or URL of the job.
        options: what to evaluate and how.
        tell: called with the number of rows scored so far and in total.

    Returns:
        the content of `_batchfim/evaluation.json`: `results.Results.evaluation`; `parts`, a digest
        of the evaluated parts; `scores`, the names of the files with each row's scores, in
        `evaluation/`.

    Raises:
        OutputError: there is no job at `output`.
        InputError: a requested column is missing, or no row is `ok`.
        StorageError: a part cannot be read, or the results cannot be written.
    """
    options = options or Options()
    rule = find_rule(options.rule)
    ledger = Ledger.at(output)
    columns = ledger.job()["fields"]["columns"]
    done = ledger.done()
    counts = done.totals.summary()["rows"]
    parts = sorted(done.ids.to_pylist())
    gone = set(parts) - ledger.part_ids()
    if gone:
        raise StorageError(
            f"{output}: {len(gone)} parts are missing; run the job again, then evaluate"
        )
    if not counts["ok"] or not parts:
        raise InputError(_nothing(output, counts))
    schema = read_part(ledger.part(parts[0])).schema
    sources, notes = find_sources(schema, columns, options.middle, options.reference)
    tests = find_tests(sources, options.execution, num_samples(ledger))
    results = Results(output, sources, options, tests)
    results.notes += notes
    files = ScoreFiles(ledger, results.metrics, f"{options} {sources} {done.digest}")
    stop = Event()

    def work(chunk: Chunk) -> tuple[Chunk, list[Scored]]:
        rows = read_rows(chunk.table, chunk.first, sources)
        scored = [score(row, rule) for row in rows]
        if tests:
            run_tests(scored, tests, stop)
        return chunk, scored

    for chunk, scored in _in_order(work, _read(ledger, parts, sources.names), stop):
        results.add(chunk.part, scored)
        files.add(chunk.part, scored)
        tell(results.num_rows, counts["ok"])
    return files.finish(results.evaluation(counts) | {"parts": done.digest})


def _nothing(output: str, counts: dict[str, int]) -> str:
    return (
        f"{output}: no row is ok ({counts['rejected']:,} rejected, {counts['failed']:,} failed), "
        f"so there is nothing to evaluate; run `batchfim status {output}` to see the errors"
    )


def _read(ledger: Ledger, parts: list[str], columns: list[str]) -> Iterator[Chunk]:
    """Yield all rows in the order of the parts, with one part in memory."""
    for part in parts:
        for first, table in chunks(read_part(ledger.part(part), columns)):
            yield Chunk(part, first, table)


def _in_order(work: Callable[[A], B], items: Iterable[A], stop: Event) -> Iterator[B]:
    """Yield results in the order of the items, from threads that run only slightly ahead.

    `stop` is set once no more results are wanted, for example after Ctrl-C.
    """
    threads = cores_here()
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
