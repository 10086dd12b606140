"""Run the rows of a comparison one after another; finished rows are not repeated."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchfim import run_job
from batchfim.api import evaluate_job
from batchfim.config import JobConfig
from batchfim.errors import BatchfimError
from batchfim.quality.options import Options
from batchfim.quality.writing import read_evaluation
from batchfim.runs.result import JobResult
from batchfim.storage.ledger import Ledger
from benchmarks.families.entries import Entry, one_line
from benchmarks.families.rows import Row, measured
from benchmarks.families.settings import Comparison

_COMPARED = ("exact_match", "first_line", "edit_similarity", "chrf")
_DUMMY = "its weights are dummies, so its middles mean nothing"


class Interrupted(Exception):
    """A signal ended a row; `code` is the exit code for the process."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


def run_entries(
    comparison: Comparison,
    entries: Sequence[Entry],
    before: Mapping[str, Mapping[str, Any]],
    tell: Callable[[list[Row]], None],
) -> list[Row]:
    """Run or resume every row; a failed row does not stop the others.

    Args:
        comparison: the settings.
        entries: the rows to run.
        before: rows of an earlier call, by name.
        tell: called with all rows, waiting ones included, whenever one has ended.

    Raises:
        Interrupted: by a signal; the row has that state.
    """
    rows = [_waiting(comparison, entry) for entry in entries]
    tell(rows)
    for place, entry in enumerate(entries):
        print(f"{place + 1} of {len(entries)}: {entry.name}", file=sys.stderr, flush=True)
        try:
            rows[place] = _run(comparison, entry, rows[place], before.get(entry.name, {}))
        except Interrupted:
            rows[place] = replace(rows[place], state="interrupted")
            tell(rows)
            raise
        tell(rows)
    return rows


def _waiting(comparison: Comparison, entry: Entry) -> Row:
    model = entry.model
    return Row(
        name=entry.name,
        model=model.name,
        path=model.path,
        order=entry.order,
        family=model.family,
        weights="dummy" if model.load_format == "dummy" else "own",
        price=comparison.price_of(model),
    )


def _run(comparison: Comparison, entry: Entry, row: Row, before: Mapping[str, Any]) -> Row:
    if entry.config is None:
        return replace(row, state="failed", error=entry.error)
    load = os.getloadavg()[0]
    try:
        result = run_job(entry.config)
        if result.signal is not None:
            raise Interrupted(result.exit_code)
        row = measured(row, result.summary, entry.config.engine.num_devices)
        row = replace(
            row,
            load=before.get("load") if result.idle else load,
            hosts=_hosts(entry.config),
        )
        return _judged(row, entry.config, result, comparison.quality.options)
    except BatchfimError as error:
        return replace(row, state="failed", error=one_line(error))


def _hosts(config: JobConfig) -> list[str]:
    """Machines of runs that completed records."""
    runs = Ledger.at(config.output.path).runs.last()
    return sorted({run.host for run in runs if run.run.get("records")})


def _judged(row: Row, config: JobConfig, result: JobResult, options: Options) -> Row:
    """The row with its quality, or with the reason why it has none."""
    if row.weights == "dummy":
        return replace(row, no_quality=_DUMMY)
    found = _evaluation(config, result, options)
    scores = {name: found["overall"][name] for name in _COMPARED if name in found["overall"]}
    missing = None if scores else "; ".join(found["notes"]) or "no row has a reference"
    return replace(row, quality=scores, no_quality=missing)


def _evaluation(config: JobConfig, result: JobResult, options: Options) -> dict[str, Any]:
    """The existing evaluation if it has the same settings and rows, else a new one.

    Raises:
        BatchfimError: see `evaluate_job`.
    """
    found = read_evaluation(Ledger.at(config.output.path))
    if result.idle and found is not None:
        asked = {"rule": options.rule, "seed": options.seed, "resamples": options.resamples}
        same_column = options.reference in (None, found["reference"])
        if same_column and asked.items() <= found.items():
            return found
    return evaluate_job(config.output.path, options)


def earlier_rows(place: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier call from `comparison.json`, by name."""
    if not place.exists():
        return {}
    return {row["name"]: row for row in json.loads(place.read_text(encoding="utf8"))["rows"]}
