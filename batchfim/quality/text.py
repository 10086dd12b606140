"""Format an evaluation for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress

from batchfim.terminal import plain_table, printable, table_text

_WIDTH = 110
_MOST_GROUPS = 20


def evaluation_text(evaluation: dict[str, Any]) -> str:
    """Row counts, each metric with its interval, the means by group, then notes."""
    parts = [_counts(evaluation), _overall(evaluation)]
    parts += [
        _by_group(evaluation, dimension, groups)
        for dimension, groups in evaluation["by"].items()
        if len(groups) > 1
    ]
    notes = [f"note: {printable(note)}" for note in evaluation["notes"]]
    place = printable(evaluation["output"].rstrip("/"))
    return "\n\n".join(parts) + "\n" + "\n".join(["", *notes, f"{place}/_batchfim/evaluation.json"])


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Progress bar, shown only on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring rows", total=None)
        yield lambda read, total: bar.update(task, completed=read, total=total)


def _counts(evaluation: dict[str, Any]) -> str:
    rows = evaluation["rows"]
    return (
        f"{rows['ok']:,} rows of {rows['records']:,} records evaluated, without "
        f"{rows['rejected']:,} rejected and {rows['failed']:,} failed; rule {evaluation['rule']}"
    )


def _overall(evaluation: dict[str, Any]) -> str:
    share = f"{evaluation['confidence']:.0%}"
    table = plain_table("", "%", f"{share} interval", "rows")
    for metric in evaluation["metrics"]:
        found = evaluation["overall"][metric["name"]]
        interval = f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
        table.add_row(
            metric["label"], f"{100 * found['value']:.1f}", interval, f"{found['rows']:,}"
        )
    return table_text(table, _WIDTH)


def _by_group(evaluation: dict[str, Any], dimension: str, groups: dict[str, Any]) -> str:
    metrics = [metric for metric in evaluation["metrics"] if _differs(metric["name"], groups)]
    labels = (f"{metric['label']} %" for metric in metrics)
    table = plain_table(dimension, "rows", *labels)
    for name, found in list(groups.items())[:_MOST_GROUPS]:
        cells = (_cell(found.get(metric["name"])) for metric in metrics)
        table.add_row(printable(name), f"{found['rows']:,}", *cells)
    left = len(groups) - _MOST_GROUPS
    return table_text(table, _WIDTH) + (f"\n… and {left:,} more in the JSON" if left > 0 else "")


def _differs(name: str, groups: dict[str, Any]) -> bool:
    """Whether a metric differs between groups; a column of equal numbers is not shown."""
    return len({found[name]["value"] if name in found else None for found in groups.values()}) > 1


def _cell(found: dict[str, Any] | None) -> str:
    return "-" if found is None else f"{100 * found['value']:.1f}"
