"""A comparison as a table for terminal, Markdown and page; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchfim.quality.scores import label
from batchfim.terminal import plain_table, table_text
from benchmarks.families.rows import Row

_WIDTH = 200
_SPEEDS = ("records/s", "computed tokens/s", "output tokens/s")


def head(metric: str) -> list[str]:
    """Names of the columns, with the row's name first."""
    quality = f"{label(metric)} %"
    shares = ("cached %", "truncated %")
    return ["", "family", "engine", quality, *_SPEEDS, *shares, "per 1,000", "start s", "front"]


def cells(row: Row, metric: str) -> list[str]:
    """Cells of a row, `-` if not measured."""
    speed = row.speed
    per_s: Mapping[str, float] = speed.tokens_per_s if speed else {}
    return [
        row.name,
        row.family or "-",
        row.backend or "-",
        quality_text(row, metric),
        _number(speed.records_per_s if speed else None),
        _number(per_s.get("computed")),
        _number(per_s.get("completion")),
        _percent(row.tokens.get("cached"), row.tokens.get("prompt")),
        _percent(row.rows.get("truncated"), row.rows.get("ok")),
        "-" if row.cost is None else f"{row.cost:.4g}",
        _number(speed.start_s if speed else None),
        ", ".join(row.fronts) or "-",
    ]


def quality_text(row: Row, metric: str) -> str:
    """Quality in percent, with its interval."""
    score = row.quality.get(metric)
    if score is None:
        return "-"
    value, low, high = (f"{100 * score[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def faults(rows: Sequence[Row]) -> list[str]:
    """One line for each error and each reason for missing quality; rows with the same share one."""
    told: dict[str, list[str]] = {}
    for row in rows:
        if row.state in ("failed", "interrupted", "waiting"):
            told.setdefault(f"{row.state}{f': {row.error}' if row.error else ''}", []).append(
                row.name
            )
        elif row.state != "complete":
            told.setdefault(f"{row.rows['failed']:,} rows failed", []).append(row.name)
        if row.no_quality:
            told.setdefault(f"no quality: {row.no_quality}", []).append(row.name)
    return [f"{', '.join(names)}: {text}" for text, names in told.items()]


def terminal_table(rows: Sequence[Row], metric: str) -> str:
    """The table in aligned columns."""
    table = plain_table(*head(metric))
    for row in rows:
        table.add_row(*cells(row, metric))
    return table_text(table, _WIDTH)


def markdown_table(rows: Sequence[Row], metric: str) -> str:
    """The table in Markdown."""
    names = head(metric)
    lines = [names, ["---"] * len(names), *(cells(row, metric) for row in rows)]
    return "\n".join(f"| {' | '.join(_escaped(line))} |" for line in lines)


def side_by_side(rows: Sequence[Row], orders: Sequence[str] = ("psm", "spm_v2")) -> list[list[Row]]:
    """The rows of each model that ran in all these orders, in this order."""
    found: dict[str, dict[str | None, Row]] = {}
    for row in rows:
        found.setdefault(row.model, {})[row.order] = row
    return [
        [of_model[order] for order in orders]
        for of_model in found.values()
        if all(order in of_model and of_model[order].speed for order in orders)
    ]


def _escaped(line: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in line]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _percent(part: float | None, whole: float | None) -> str:
    return f"{100 * part / whole:.1f}" if part is not None and whole else "-"
