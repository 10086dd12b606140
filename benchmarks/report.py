"""Measure the report of a job with a million shards: `python -m benchmarks.report`.

Runs a small job on the simulated engine, copies its only shard to a million shards, by a thousand
workers in two runs, and then makes the report in a separate process, as a run does at its end.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.api import run_job
from batchfim.config.files import load_config
from batchfim.metrics.done import done_table
from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.totals import Totals
from batchfim.shards import short_digest
from batchfim.storage.ledger import Ledger
from batchfim.storage.markers import SEGMENT_SHARDS
from batchfim.storage.segments import segment_bytes
from benchmarks.measuring import at_most, keep, machine

LIMIT_S, LIMIT_MB = 60.0, 2000.0
_RECORDS, _WORKERS, _SHARD_S = 2048, 1000, 60.0
_SETTINGS = (
    "engine.backend=simulated",
    "schedule.pool=local",
    "schedule.workers=1",
    f"schedule.shard_rows={_RECORDS}",
    "sampling.max_tokens=16",
    "metrics.progress=none",
    "metrics.report=false",
)


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="folder for the job")
    options = parser.parse_args()
    started = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        ledger = _job(Path(folder))
        _multiply(ledger, options.shards)
        begin_s = time.monotonic()
        command = [sys.executable, "-m", "batchfim", "report", ledger.output.path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took_s = time.monotonic() - begin_s
        size = Path(ledger.root.path, "report.html").stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        "shards": options.shards,
        "report_mb": round(size / 1e6, 1),
        "seconds": {"found": round(took_s, 1)} | at_most(1, took_s / LIMIT_S),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_rss_mb": used.ru_maxrss // 1000,
        "memory": at_most(1, used.ru_maxrss / 1000 / LIMIT_MB),
        "not_measured": "an object store",
    }
    keep("report", result, started=started)


def _job(folder: Path) -> Ledger:
    rows = range(_RECORDS)
    columns = {"prefix": [f"def f{row}():\n    " for row in rows], "suffix": ["\n"] * _RECORDS}
    pq.write_table(pa.table(columns), folder / "records.parquet")
    flags = {"input.paths": [str(folder / "records.parquet")], "model.path": "demo"}
    output = str(folder / "out")
    run_job(load_config(None, flags | {"output.path": output}, _SETTINGS))
    return Ledger.at(output)


def _multiply(ledger: Ledger, num_shards: int) -> None:
    """Multiply the only shard: parts become links to its part, markers become segments."""
    (marker,) = Path(ledger.root.path, "done").iterdir()
    report = ShardReport.model_validate_json(marker.read_bytes())
    part = ledger.part(report.shard_id).path
    for number, start in enumerate(range(0, num_shards, SEGMENT_SHARDS)):
        places = range(start, min(start + SEGMENT_SHARDS, num_shards))
        reports = [_copy(report, place, num_shards) for place in places]
        for one in reports:
            os.symlink(part, ledger.part(one.shard_id).path)
        texts = pa.array([one.model_dump_json() for one in reports])
        table = done_table(reports).append_column("report", texts)
        content = segment_bytes(table, Totals.sum(map(Totals.of, reports)))
        (ledger.root / "done" / f"{number:06}-00000000.parquet").write(content)


def _copy(report: ShardReport, place: int, num_shards: int) -> ShardReport:
    run, later_s = ("a", 0.0) if place < num_shards // 2 else ("b", 86_400.0)
    return report.model_copy(
        update={
            "shard_id": short_digest(str(place)),
            "run": run,
            "worker": f"worker-{place % _WORKERS}",
            "started_at": report.started_at + later_s + place // _WORKERS * _SHARD_S,
            "generate_s": _SHARD_S,
        }
    )


if __name__ == "__main__":
    main()
