"""Options of the entry points, and the exit codes that some of the options accept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from batchfim.errors import ExitCode

if TYPE_CHECKING:
    from batchfim.runs.result import JobResult

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

AcceptFailedRows = Annotated[
    bool,
    typer.Option(help="Exit 0 even if rows failed, for schedulers that restart failed jobs."),
]
AcceptUnfinished = Annotated[
    bool,
    typer.Option(help="Exit 0 even if schedule.stop_after_s ended the run, for the same reason."),
]


def ended(
    result: JobResult, output: str, accept_failed_rows: bool, accept_unfinished: bool
) -> NoReturn:
    """Print a run's summary, and exit with its code, or with 0 if that end is accepted."""
    from batchfim.accounts.summary_text import summary_text

    typer.echo(summary_text(result.summary, output, idle=result.idle, report=result.report))
    accepted: dict[int, bool] = {
        ExitCode.ROWS_FAILED: accept_failed_rows,
        ExitCode.UNFINISHED: accept_unfinished,
    }
    is_accepted = accepted.get(result.exit_code)
    raise typer.Exit(ExitCode.COMPLETE if is_accepted else result.exit_code)


def entry_point() -> typer.Typer:
    """A Typer application for a single command."""
    return typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
