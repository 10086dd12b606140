"""Show a completed record in readable form: the middle in place, and the original text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from batchfim.quality.scores import is_exact

_LINES_BEFORE, _LINES_AFTER = 6, 3
_KINDS = ("half_line", "line", "random_span")


def choose_examples(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row of each of three kinds: the longest exact one, if there is an exact one."""
    chosen = []
    for kind in _KINDS:
        of_kind = [row for row in rows if row["kind"] == kind and row["status"] == "ok"]
        if of_kind:
            chosen.append(max(of_kind, key=_worth_showing))
    return chosen


def show_example(row: dict[str, Any], console: Console) -> None:
    """Print the lines around the hole, the middle in color, and the original if it differs."""
    before = "".join(row["prefix"].splitlines(keepends=True)[-_LINES_BEFORE:])
    after = "".join(row["suffix"].splitlines(keepends=True)[: _LINES_AFTER + 1])
    code = Text.assemble(before, (row["middle"], "bold green reverse"), after.rstrip("\n"))
    verdict = "exactly the original" if _is_exact(row) else f"original: {row['middle_reference']!r}"
    console.print(Panel(code, title=f"{row['path']} ({row['kind']})", subtitle=Text(verdict)))


def _is_exact(row: dict[str, Any]) -> bool:
    return is_exact(row["middle"], row["middle_reference"])


def _worth_showing(row: dict[str, Any]) -> tuple[bool, bool, int]:
    ended = row["finish_reason"] == "stop"
    return _is_exact(row), ended, len(row["middle"]) if _is_exact(row) else -len(row["middle"])
