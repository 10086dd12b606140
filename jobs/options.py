"""Options every entry point has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JobFiles = Annotated[
    list[Path],
    typer.Option("--job-file", metavar="JOB.yaml", help="Job file; of several, later ones win."),
]
Sets = Annotated[
    list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting.")
]


def entry_point() -> typer.Typer:
    """A program of one command."""
    return typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
