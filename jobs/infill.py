"""Run or resume a job: `python -m jobs.infill --job-file job.yaml`."""

from __future__ import annotations

from typing import Annotated

import typer

from batchfim.config_file import load_config
from batchfim.exits import ExitCode, to_exit
from jobs.options import JobFiles, Sets, entry_point

app = entry_point()


@app.command()
def infill(
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    accept_failed_rows: Annotated[
        bool,
        typer.Option(help="Exit 0 even if rows failed, for schedulers that restart failed jobs."),
    ] = False,
    accept_unfinished: Annotated[
        bool,
        typer.Option(
            help="Exit 0 even if schedule.stop_after_s ended the run, for the same schedulers."
        ),
    ] = False,
) -> None:
    """Run or resume a job, with the exit codes of `batchfim run`."""
    from batchfim.accounts.summary_text import summary_text
    from batchfim.api import run_job

    config = load_config(job_file, sets=sets)
    result = run_job(config)
    where, idle = config.output.path, result.idle
    typer.echo(summary_text(result.summary, where, idle=idle, report=result.report))
    accepted: dict[int, bool] = {
        ExitCode.ROWS_FAILED: accept_failed_rows,
        ExitCode.UNFINISHED: accept_unfinished,
    }
    is_accepted = accepted.get(result.exit_code)
    raise typer.Exit(ExitCode.COMPLETE if is_accepted else result.exit_code)


if __name__ == "__main__":
    to_exit(app)
