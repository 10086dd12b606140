"""Make a job's report from its ledger and a few of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from batchfim.accounts.summing import summary_now
from batchfim.metrics.done import Done
from batchfim.metrics.run_record import end_of
from batchfim.metrics.shard_report import ENDINGS
from batchfim.metrics.shard_table import worked
from batchfim.metrics.time_use import USES, time_use
from batchfim.metrics.timeline import spans, timeline
from batchfim.quality.writing import is_outdated, read_evaluation
from batchfim.report.charts import (
    Chart,
    chart_json,
    histogram_chart,
    time_use_chart,
    timeline_charts,
)
from batchfim.report.figures import figures
from batchfim.report.page import render
from batchfim.report.picking import Picked, pick
from batchfim.report.showing import TextColumns, shown
from batchfim.storage.job_lease import find_holder
from batchfim.storage.ledger import Ledger

_HISTOGRAMS = {
    "ttft_s": ("Time to first token", "s"),
    "tpot_s": ("Time per output token", "s"),
    "latency_s": ("Latency", "s"),
    "prompt_tokens": ("Prompt tokens", "tokens"),
    "completion_tokens": ("Completion tokens", "tokens"),
}


def report_job(output: str) -> str:
    """Write `metrics/shards.parquet` and `report.html` of the job at a path or URL.

    Returns:
        the path or URL of the report.

    Raises:
        OutputError: there is no job at `output`.
        StorageError: a file of the ledger or a part is damaged.
    """
    ledger = Ledger.at(output)
    ledger.job()
    running = find_holder(ledger.lease_folder) is not None
    done, shards = ledger.done(), _write_shards(ledger)
    place = ledger.root / "report.html"
    place.write(render(_context(ledger, output, done, shards, running)).encode())
    return place.url


def _write_shards(ledger: Ledger) -> pa.Table:
    """Write the table of shards to a file and return what each shard's last attempt processed."""
    parts, sink = ledger.shard_parts(), pa.BufferOutputStream()
    pq.write_table(parts, sink, compression="zstd")
    folder = ledger.root / "metrics"
    folder.make_folder()
    (folder / "shards.parquet").write(sink.getvalue())
    return worked(parts)


def _context(
    ledger: Ledger, output: str, done: Done, shards: pa.Table, running: bool
) -> dict[str, Any]:
    """All values that the page's template uses."""
    job, summary = ledger.job(), summary_now(ledger, done)
    columns = TextColumns(**{k: job["config"]["input"]["columns"][k] for k in ("prefix", "suffix")})
    picked = pick(ledger, done, shards, columns.wanted, list(summary["errors"]))
    sections = _chart_sections(done, shards, summary)
    charts = [chart for _, _, charts in sections for chart in charts]
    sample = [shown(row, columns) for row in picked.sample]
    evaluation = read_evaluation(ledger)
    content = {
        "figures": figures(summary),
        "rows": summary["rows"]["rows"],
        "rows_ok": summary["rows"]["ok"],
        "forecast": summary["forecast"],
        "chart_sections": sections,
        "chart_json": chart_json(charts),
        "uses": USES,
        "runs": summary["runs"],
        "endings": {name: summary[name] for name in ENDINGS},
        "errors": summary["errors"],
        "error_examples": {
            reason: [shown(row, columns) for row in rows] for reason, rows in picked.errors.items()
        },
        "slowest": [_slow(row) for row in picked.slowest],
        "sample": sample,
        "verdicts": sorted({record.verdict for record in sample}),
        "evaluation": evaluation,
        "outdated": evaluation is not None and is_outdated(evaluation, done),
    }
    return content | {
        "output": output,
        "state": "running" if running else end_of(summary),
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "model": summary["model"],
        "versions": summary["versions"],
        "config": yaml.safe_dump(job["config"], sort_keys=False, allow_unicode=True),
        "sections": _sections(content, picked),
    }


def _chart_sections(
    done: Done, shards: pa.Table, summary: Mapping[str, Any]
) -> list[tuple[str, str, list[Chart]]]:
    laid = spans(shards)
    if not laid.shards.num_rows:
        return []
    histograms = {**done.totals.timings, **done.totals.sizes}
    drawn = (
        histogram_chart(name, title, histograms[name], unit)
        for name, (title, unit) in _HISTOGRAMS.items()
    )
    return [
        ("timelines", "Over time", timeline_charts(timeline(laid))),
        ("distributions", "Distributions", [chart for chart in drawn if chart]),
        ("time", "Where the time went", [time_use_chart(time_use(shards, summary["runs"]))]),
    ]


def _sections(content: Mapping[str, Any], picked: Picked) -> list[str]:
    """Names of the sections that the page has, for its links."""
    there = {
        "timelines": content["chart_sections"],
        "distributions": content["chart_sections"],
        "time": content["chart_sections"],
        "runs": content["runs"],
        "endings": content["rows"],
        "errors": content["errors"],
        "evaluation": content["evaluation"],
        "slowest": picked.slowest,
        "records": picked.sample,
        "config": True,
    }
    return [name for name, is_there in there.items() if is_there]


def _slow(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": row.get("path") or row.get("id") or row["part"],
        "seconds": [row[name] for name in ("latency_s", "queue_s", "ttft_s")],
        "place": f"{row['part']}, row {row['part_row']}",
        **{name: row[name] for name in ("prompt_tokens", "completion_tokens", "worker")},
    }
