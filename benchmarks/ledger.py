"""Measure a run's bookkeeping with a million planned shards: `python -m benchmarks.ledger`.

Writes a ledger in which all but a thousand shards are done, with an (empty) file for each part in
one folder. Then, in a separate process, does everything that a run does before its first lease and
after its last commit: compact, load the plan and the finished ids, list the parts, plan the work;
load what is done, list the parts again, audit, summarize.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.metrics.audit import audit
from batchfim.metrics.done import DONE_SCHEMA
from batchfim.metrics.histogram import Histogram
from batchfim.metrics.shard_report import TIMINGS, Counts, ShardReport
from batchfim.metrics.totals import Totals
from batchfim.planning.cutting import cut_shards
from batchfim.planning.work import current_paths, plan_work
from batchfim.shards import InputFile
from batchfim.storage.ledger import Ledger
from batchfim.storage.markers import SEGMENT_SHARDS
from batchfim.storage.segments import segment_bytes
from benchmarks.measuring import in_process, keep, machine

LIMIT_S, LIMIT_MB = 10.0, 1000
_SHARD_ROWS = 2048
_FILE_SHARDS = 500


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=1_000_000)
    parser.add_argument("--left", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, default=None, help="folder for the ledger")
    options = parser.parse_args()
    started = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        in_process(_build, folder, options.shards, options.left)
        steps, cpu_s, peak_mb = in_process(_run, folder, options.shards, options.left)
    total_s = sum(steps.values())
    result = {
        "shards_planned": options.shards,
        "shards_done": options.shards - options.left,
        "seconds": {name: round(seconds, 2) for name, seconds in steps.items()},
        "total_s": round(total_s, 2),
        "cpu_s": round(cpu_s, 2),
        "limit_s": LIMIT_S,
        "peak_rss_mb": peak_mb,
        "limit_mb": LIMIT_MB,
        "ratio_to_limit": round(max(total_s / LIMIT_S, peak_mb / LIMIT_MB), 3),
        "not_measured": "an object store; the model's and the input files' checks",
    }
    keep("ledger", result, started=started)


def _files(num_shards: int) -> list[InputFile]:
    rows = _FILE_SHARDS * _SHARD_ROWS
    num_files = -(-num_shards // _FILE_SHARDS)
    return [InputFile(f"/data/{i:06}.parquet", f"{i:020x}", rows, 1000.0) for i in range(num_files)]


def _build(folder: str, num_shards: int, left: int) -> None:
    """Write a job of which all but the last shards are done."""
    shards = cut_shards(_files(num_shards), _SHARD_ROWS, "benchmark")
    ledger = Ledger.at(folder)
    ledger.prepare()
    ledger.add_to_plan(shards)
    ids = [shard.id for shard in shards[: len(shards) - left]]
    for shard_id in ids:
        Path(ledger.part(shard_id).path).touch()
    report = _report()
    for number, start in enumerate(range(0, len(ids), SEGMENT_SHARDS)):
        segment = _segment(report, ids[start : start + SEGMENT_SHARDS])
        (ledger.root / "done" / f"{number:06}-00000000.parquet").write(segment)


def _report() -> ShardReport:
    """A report whose timings have some hundred buckets each, as for a real shard."""
    seconds = Histogram.of(0.01 * 1.002**i for i in range(_SHARD_ROWS))
    return ShardReport(
        shard_id="0" * 20,
        attempt=1,
        worker="worker-0",
        records=_SHARD_ROWS,
        counts=Counts(rows=_SHARD_ROWS, ok=_SHARD_ROWS, prompt_tokens=10**6),
        finish_reasons={"stop": _SHARD_ROWS},
        errors={},
        timings=dict.fromkeys(TIMINGS, seconds),
        checksum="0" * 32,
        size_bytes=0,
        read_s=0.1,
        encode_s=0.2,
        generate_s=0.3,
        write_s=0.4,
    )


def _segment(report: ShardReport, ids: list[str]) -> bytes:
    text, counts = report.model_dump_json(), report.counts
    fields = report.model_dump() | counts.model_dump()
    columns = {name: [fields[name]] * len(ids) for name in DONE_SCHEMA.names} | {"shard_id": ids}
    texts = [text.replace(report.shard_id, shard_id) for shard_id in ids]
    table = pa.table(columns, schema=DONE_SCHEMA).append_column("report", pa.array(texts))
    return segment_bytes(table, Totals.sum([Totals.of(report)] * len(ids)))


def _run(folder: str, num_shards: int, left: int) -> tuple[dict[str, float], float, int]:
    """Seconds of each step, CPU seconds of all, and peak resident memory in MB."""
    ledger, files = Ledger.at(folder), _files(num_shards)
    steps: dict[str, float] = {}
    last_s, cpu_s = time.monotonic(), time.process_time()

    def step(name: str) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        steps[name], last_s = now_s - last_s, now_s

    ledger.prepare()
    ledger.compact()
    step("compact")
    done = ledger.done_ids()
    step("done_ids")
    _, unmarked = ledger.half_committed(done)
    step("halves")
    contents, _ = ledger.planned_files()
    where = current_paths(files, contents)
    planned = ledger.planned_without(done, where)
    step("plan")
    work = plan_work(files, planned, done, _SHARD_ROWS, "benchmark", where=where)
    ledger.clean_up(unmarked)
    step("plan_work")
    assert len(work.pending) == left
    del planned, done
    finished = ledger.done()
    step("done")
    visible = ledger.parts()
    step("parts")
    complaints = audit(ledger.planned_rows(), finished.table, visible, 1)
    step("audit")
    finished.totals.summary()
    step("summary")
    assert not complaints
    assert pc.sum(finished.table["rows"]).as_py() == (num_shards - left) * _SHARD_ROWS
    cpu_s = time.process_time() - cpu_s
    return steps, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


if __name__ == "__main__":
    main()
