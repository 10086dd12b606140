"""The summary as a person reads it at the end of a run."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

SLOW_ENGINE = (
    "engine: Transformers, slower than vLLM: nothing is shared between prompts, and a batch takes "
    "no new one before it ends"
)


def summary_text(summary: dict[str, Any], output: str) -> str:
    """A few lines: rows, tokens, speed, latencies, and where everything is."""
    rows, tokens, run = summary["rows"], summary["tokens"], summary["this_run"]
    lines = [
        f"{summary['records']:,} records in {summary['shards']:,} shards: {rows['ok']:,} ok, "
        f"{rows['rejected']:,} rejected, {rows['failed']:,} failed",
        f"tokens: {tokens['prompt']:,} prompt = {tokens['cached']:,} cached + "
        f"{tokens['computed']:,} computed; {tokens['completion']:,} completion",
        _speed(run, summary["phases_s"]["engine_start"]),
        _latencies(summary["seconds"]),
        f"results: {output} (part-*.parquet); numbers: {output.rstrip('/')}/_batchfim/summary.json",
    ]
    if summary["engine"]["backend"] == "transformers":
        lines.insert(-1, SLOW_ENGINE)
    for error, count in summary["errors"].items():
        lines.insert(-1, f"{count:,} rows: {error}")
    return "\n".join(lines)


def _speed(run: dict[str, Any], engine_start_s: float) -> str:
    if not run["rows"]:
        return "nothing was left to do"
    return (
        f"this run: {run['rows']:,} rows by {run['workers']} workers in {run['total_s']:.1f} s, "
        f"{engine_start_s:.1f} s of it engine start; {run['rows_per_s']:,.1f} rows/s, "
        f"{run['tokens_per_s']['prompt']:,.0f} prompt and "
        f"{run['tokens_per_s']['completion']:,.0f} completion tokens/s"
    )


def _latencies(seconds: dict[str, Any]) -> str:
    table = Table("seconds", "p50", "p90", "p99", "max", box=None, pad_edge=False)
    for name, values in seconds.items():
        shown = [
            "-" if values[p] is None else f"{values[p]:.4f}" for p in ("p50", "p90", "p99", "max")
        ]
        table.add_row(name.removesuffix("_s"), *shown)
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())
