"""Retry a job's failed rows: `python -m jobs.retry --job-file job.yaml`."""

from __future__ import annotations

from batchfim.config.files import load_config
from batchfim.exits import run_command
from jobs.options import AcceptFailedRows, AcceptUnfinished, JobFiles, Sets, ended, entry_point

app = entry_point()


@app.command()
def retry(
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    accept_failed_rows: AcceptFailedRows = False,
    accept_unfinished: AcceptUnfinished = False,
) -> None:
    """Retry the failed rows of the job file's output, with the exit codes of `batchfim retry`.

    Unlike there, the settings are those of the job file: they may name other machines, and hold
    secrets, which no output holds.
    """
    from batchfim.api import retry_job

    config = load_config(job_file, sets=sets)
    result = retry_job(config.output.path, config.model_dump(mode="json"))
    ended(result, config.output.path, accept_failed_rows, accept_unfinished)


if __name__ == "__main__":
    run_command(app)
