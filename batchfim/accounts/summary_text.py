"""The summary as text, printed at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchfim.metrics.comparison import predictions_text
from batchfim.metrics.summary import lost_text
from batchfim.storage.stores import extended
from batchfim.terminal import plain_table, printable, table_text

SLOW_ENGINE = (
    "engine: Transformers, slower than vLLM: prompts share no computation, and a batch takes no "
    "new prompts until all of it is finished"
)


def summary_text(
    summary: dict[str, Any], output: str, *, idle: bool = False, report: bool = False
) -> str:
    """A few lines with rows, tokens, speed, latencies, and the paths of the results."""
    rows, tokens = summary["rows"], summary["tokens"]
    lines = [
        f"{summary['records']:,} records in {summary['shards']:,} shards"
        f"{_samples(rows['rows'], summary['records'])}: {rows['ok']:,} ok, "
        f"{rows['rejected']:,} rejected, {rows['failed']:,} failed{_copied(rows['copied'])}",
        f"tokens: {tokens['prompt']:,} prompt = {tokens['cached']:,} cached + "
        f"{tokens['computed']:,} computed; {tokens['completion']:,} completion, "
        f"{tokens['kept']:,} of them kept",
        *_engine_lines(tokens, summary["preemptions"]),
        *(["nothing was left to do"] if idle else _run(summary["runs"][-1])),
        _latencies(summary["seconds"]),
        *filter(None, [predictions_text(summary["forecast"])]),
        *([SLOW_ENGINE] if summary["engine"]["backend"] == "transformers" else []),
        *absent_text(summary["absent"]),
        *(f"{count:,} rows: {printable(error)}" for error, count in summary["errors"].items()),
        f"results: {printable(output)} (part-*.parquet); summary: {_own(output, 'summary.json')}"
        + (f"; report: {_own(output, 'report.html')}" if report else ""),
    ]
    if not summary["complete"]:
        lines.append("stopped before the end: run the same command again to continue")
    elif rows["failed"]:
        lines.append(f"run the failed rows again: batchfim retry {printable(output)}")
    return "\n".join(lines)


def absent_text(absent: dict[str, int]) -> Iterator[str]:
    """A line about planned records whose files are no longer in the input, if there are any."""
    if absent["shards"]:
        yield (
            f"{absent['records']:,} planned records were not processed, as their files are no "
            "longer in the input; if that is a mistake, run the job again with these files"
        )


def _own(output: str, name: str) -> str:
    return printable(extended(output, f"/_batchfim/{name}"))


def _engine_lines(tokens: dict[str, int], num_preemptions: int) -> Iterator[str]:
    if tokens["drafted"]:
        yield f"speculation: {tokens['drafted']:,} drafted, {tokens['accepted']:,} of them accepted"
    if num_preemptions:
        yield (
            f"{num_preemptions:,} preemptions: raise engine.kv_cache_gib or lower "
            "engine.args.max_num_seqs"
        )


def _samples(num_rows: int, num_records: int) -> str:
    return "" if num_rows == num_records else f", {num_rows:,} rows"


def _copied(num_rows: int) -> str:
    return f"; {num_rows:,} rows copied from others with the same prompt" if num_rows else ""


def _run(run: dict[str, Any]) -> list[str]:
    return [line for line in (_speed(run), printable(lost_text(run))) if line]


def _speed(run: dict[str, Any]) -> str:
    parts = [f"{run['regroup_s']:.1f} s of regrouping"] if run["regroup_s"] else []
    parts.append(f"{run['engine_start_s']:.1f} s of engine start")
    if run["records"]:
        parts.append(
            f"{run['run_s']:.1f} s of work ({run['records_per_s']:,.1f} records/s, "
            f"{run['tokens_per_s']['prompt']:,.0f} prompt and "
            f"{run['tokens_per_s']['completion']:,.0f} completion tokens/s)"
        )
    return (
        f"this run: {run['records']:,} records by {run['workers']} workers in "
        f"{run['total_s']:.1f} s, including {', '.join(parts)}"
    )


def _latencies(seconds: dict[str, Any]) -> str:
    table = plain_table("seconds", "p50", "p90", "p99", "max")
    for name, values in seconds.items():
        shown = [
            "-" if values[p] is None else f"{values[p]:.4f}" for p in ("p50", "p90", "p99", "max")
        ]
        table.add_row(name.removesuffix("_s"), *shown)
    return table_text(table, 80)
