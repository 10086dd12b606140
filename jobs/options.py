"""Options of every entry point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JobFiles = Annotated[
    list[Path],
    typer.Option(
        "--job-file", metavar="JOB.yaml", help="Job file, repeatable; later files take precedence."
    ),
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeatable."),
]


def entry_point() -> typer.Typer:
    """A Typer application for a single command."""
    return typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
