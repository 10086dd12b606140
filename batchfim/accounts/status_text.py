"""A job's status as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from batchfim.accounts.summary_text import absent_text
from batchfim.metrics.summary import lost_text
from batchfim.terminal import plain_table, printable, table_text

_RUNS_SHOWN = 7
_WIDTH = 100


def status_text(status: dict[str, Any]) -> str:
    """The state, the counts as a table, the errors, and the next step."""
    lines = [f"{printable(status['output'])}: {status['state']}{_holder(status['holder'])}"]
    lines += [_counts(status), _pace(status)]
    lines += [_history(status["history"]), *absent_text(status["absent"])]
    lines += [f"{count:,} rows: {printable(error)}" for error, count in status["errors"].items()]
    lines += [_next_step(status)]
    return "\n".join(filter(None, lines))


def _holder(holder: dict[str, Any] | None) -> str:
    if holder is None:
        return ""
    age_s = holder["renewed_s_ago"]
    fresh = "" if age_s is None else f", last seen {age_s:.0f} s ago"
    return f", by process {holder['pid']} on {printable(holder['host'])}{fresh}"


def _counts(status: dict[str, Any]) -> str:
    rows, shards, tokens = status["rows"], status["shards"], status["tokens"]
    table = plain_table("", "planned", "done", "ok", "rejected", "failed")
    table.add_row("shards", *_numbers(shards, "planned", "done"))
    table.add_row("rows", *_numbers(rows, "planned", "done", "ok", "rejected", "failed"))
    shown = ", ".join(f"{tokens[name]:,} {name}" for name in tokens)
    return "\n".join([table_text(table, _WIDTH), f"tokens: {shown}"])


def _history(runs: list[dict[str, Any]]) -> str:
    """The last runs, one line each."""
    if not runs:
        return ""
    table = plain_table("last runs", "minutes", "shards", "records", "")
    for run in runs[-_RUNS_SHOWN:]:
        done, end = run["run"], run["end"] or "running, or killed"
        cause = f": {printable(run['cause'])}" if run["cause"] else ""
        lost = printable(lost_text(done, with_last=not cause))
        how = "; ".join(filter(None, [f"{end}{cause}", lost]))
        known = bool(done) or run["end"] not in (None, "failed")
        shards, records = (_known(done.get(name, 0), known) for name in ("shards", "records"))
        shards = f"{shards} of {run['shards_to_do']:,}"
        table.add_row(run["started_at"][:16], _minutes(run), shards, records, how)
    return table_text(table, _WIDTH)


def _known(count: int, known: bool) -> str:
    return f"{count:,}" if known else "-"


def _minutes(run: dict[str, Any]) -> str:
    if run["ended_at"] is None:
        return "-"
    took = datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])
    return f"{took.total_seconds() / 60:,.1f}"


def _numbers(counts: dict[str, int], *names: str) -> list[str]:
    return [f"{counts[name]:,}" for name in names]


def _pace(status: dict[str, Any]) -> str:
    if status["rows_per_s"] is None:
        return ""
    left_s = status["left_s"]
    left = "" if left_s is None else f", {left_s:,.0f} s left"
    return f"{status['rows_per_s']:,.1f} rows/s recently{left}"


def _next_step(status: dict[str, Any]) -> str:
    return {
        "stopped": "run the same command again to continue",
        "complete with failed rows": "run the failed rows again: batchfim retry "
        + printable(status["output"]),
    }.get(status["state"], "")
