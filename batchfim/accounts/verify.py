"""The full audit, which reads every part and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.accounts.coverage import holes_and_overlaps
from batchfim.accounts.part_check import check_part
from batchfim.accounts.status import num_samples
from batchfim.errors import StorageError
from batchfim.metrics.audit import audit, unfinished
from batchfim.metrics.done import Done
from batchfim.storage.job_lease import find_holder
from batchfim.storage.ledger import Ledger
from batchfim.terminal import counted, printable

_READERS = 8
_AT_ONCE = 512
_RUN_AGAIN = "run the job again"
_WORK_AGAIN = f"delete the part and {_RUN_AGAIN}"
_Marker = Mapping[str, Any]  # a row with columns `metrics.done.DONE_SCHEMA`


def verify_job(output: str) -> dict[str, Any]:
    """Check a job's ledger and all its parts, and report what is wrong.

    While a run holds the job, its unfinished work is not a problem: unfinished shards, staged parts
    and parts without a marker are ignored.

    Returns:
        `output`, `running`, `parts` (how many were read), `rows` and `problems`: one line per
        problem, with what to do.

    Raises:
        OutputError: there is no job.
        StorageError: a file of the ledger is damaged.
    """
    ledger = Ledger.at(output)
    samples = num_samples(ledger)
    running = find_holder(ledger.lease_folder) is not None
    done = ledger.done()
    parts = ledger.parts()  # after the markers: a run writes a part first, then its marker
    there = done.table.filter(pc.is_in(done.ids, value_set=parts["shard_id"].combine_chunks()))
    problems = [
        f"{line}; restore the plan's files, or choose another output.path"
        for line in holes_and_overlaps(ledger.plan())
    ]
    planned = ledger.planned_rows()
    problems += [
        f"{complaint.text}; {_RUN_AGAIN if complaint.is_missing else _WORK_AGAIN}"
        for complaint in audit(planned, done.table, there, samples)
    ]
    problems += _read_parts(ledger, there)
    if not running:
        problems += _unfinished(ledger, planned, done) + _left_behind(ledger, done, parts)
    rows = done.totals.summary()["rows"]
    return {
        "output": output,
        "running": running,
        "parts": there.num_rows,
        "rows": rows,
        "problems": problems,
    }


def verify_text(found: Mapping[str, Any]) -> str:
    """The problems as text, or a line that says there are none."""
    if found["problems"]:
        return "\n".join(map(printable, found["problems"]))
    rows = found["rows"]
    note = "; the job is still running" if found["running"] else ""
    return (
        f"{printable(found['output'])}: {found['parts']:,} parts and {rows['rows']:,} rows match "
        f"their markers ({rows['ok']:,} ok, {rows['rejected']:,} rejected, {rows['failed']:,} "
        f"failed){note}"
    )


def _read_parts(ledger: Ledger, markers: pa.Table) -> list[str]:
    """Check each part against its marker.

    A retry may replace part and marker in between. So the marker of a part that differs is read
    again: if it is another now, the part is checked against that one; if it is gone, or its part is
    just being replaced, there is nothing to say.
    """
    problems: list[str] = []
    while markers.num_rows:
        changed = []
        differing = _differing(ledger, markers)
        now = _markers_now(ledger, [marker["shard_id"] for marker, _ in differing])
        for marker, lines in differing:
            newer = now.get(marker["shard_id"])
            if newer == marker:
                problems += lines
            elif newer is not None:
                changed.append(newer)
        markers = pa.Table.from_pylist(changed, markers.schema)
    return problems


def _differing(ledger: Ledger, markers: pa.Table) -> list[tuple[_Marker, list[str]]]:
    """The markers whose parts differ from them, with the problems; reads several in parallel."""

    def check(marker: _Marker) -> tuple[_Marker, list[str]]:
        part = ledger.part(marker["shard_id"])
        name = part.path.rsplit("/", 1)[-1]
        try:
            found = check_part(part, marker)
        except StorageError as error:
            found = [f"cannot be read ({error})"]
        return marker, [f"{name} {problem}; {_WORK_AGAIN}" for problem in found]

    with ThreadPoolExecutor(_READERS) as readers:
        batches = (
            readers.map(check, markers.slice(start, _AT_ONCE).to_pylist())
            for start in range(0, markers.num_rows, _AT_ONCE)
        )
        results = (result for batch in batches for result in batch)
        shown = counted(results, "reading parts", markers.num_rows)
        return [(marker, problems) for marker, problems in shown if problems]


def _markers_now(ledger: Ledger, shard_ids: Sequence[str]) -> dict[str, _Marker]:
    """What the markers of these shards say at this moment, by shard id."""
    if not shard_ids:
        return {}
    fresh = Ledger(ledger.output)  # the given one may have the segments in memory
    return {marker["shard_id"]: marker for marker in fresh.done().of(shard_ids).to_pylist()}


def _unfinished(ledger: Ledger, planned: pa.Table, done: Done) -> list[str]:
    left = unfinished(planned, done.ids, ledger.seen.read()).left.num_rows
    num_wanted = done.table.num_rows + left
    return [f"{left:,} of {num_wanted:,} planned shards are not done; {_RUN_AGAIN}"] if left else []


def _left_behind(ledger: Ledger, done: Done, parts: pa.Table) -> list[str]:
    """Leftovers that the next run removes, but that a reader of the output may take for results."""
    ids = parts["shard_id"]
    orphans = ids.filter(pc.invert(pc.is_in(ids, value_set=done.ids.combine_chunks())))
    lines = [
        f"part-{shard_id}.parquet has no marker, so its rows may be duplicates; run the job again, "
        "which resolves this"
        for shard_id in orphans.to_pylist()
    ]
    return lines + [
        f"{path} was left by a killed run; run the job again, or delete it"
        for path in ledger.leftovers()
    ]
