"""Run or resume a job: `python -m jobs.infill --job-file job.yaml`."""

from __future__ import annotations

from batchfim.config.files import load_config
from batchfim.exits import run_command
from jobs.options import AcceptFailedRows, AcceptUnfinished, JobFiles, Sets, ended, entry_point

app = entry_point()


@app.command()
def infill(
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    accept_failed_rows: AcceptFailedRows = False,
    accept_unfinished: AcceptUnfinished = False,
) -> None:
    """Run or resume a job, with the exit codes of `batchfim run`."""
    from batchfim.api import run_job

    config = load_config(job_file, sets=sets)
    ended(run_job(config), config.output.path, accept_failed_rows, accept_unfinished)


if __name__ == "__main__":
    run_command(app)
