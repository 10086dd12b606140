"""Run a job on a cluster and wait for it: `python -m jobs.submit --backend ray --job-file …`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from batchfim.config import JobConfig
from batchfim.config_file import load_config
from batchfim.driver.signals import exit_signals
from batchfim.exits import to_exit
from batchfim.places import absolute
from batchfim.workers.ray_token import use_ray_token
from jobs.options import JobFiles, Sets, entry_point
from jobs.submission import Entry, Submission

app = entry_point()


class Backend(StrEnum):
    """What runs the job."""

    RAY = "ray"
    K8S = "k8s"


@app.command()
def submit(
    backend: Annotated[Backend, typer.Option(help="A Ray cluster that stands, or Kubernetes.")],
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    entry: Annotated[Entry, typer.Option(help="ray: what to run.")] = Entry.INFILL,
    address: Annotated[
        str | None,
        typer.Option(help="ray: its Jobs API; unset: RAY_API_SERVER_ADDRESS, else this machine's."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Print what would be submitted.")] = False,
) -> None:
    """Submit a job, or adopt it where it runs already; wait for it; exit with its exit code.

    What ends this command does not end the job: the same command follows it again.
    """
    config = load_config(job_file, sets=sets)
    with exit_signals():
        raise typer.Exit(_on_ray(config, entry, address, dry_run=dry_run))


def _on_ray(config: JobConfig, entry: Entry, address: str | None, *, dry_run: bool) -> int:
    resources = config.resources.model_copy(update={"ray_address": None})  # it runs inside
    there = absolute(config).model_copy(update={"resources": resources})
    submission = Submission(there, entry)
    if dry_run:
        typer.echo(json.dumps(submission.shown(), indent=1))
        return 0
    use_ray_token()
    from jobs.on_ray import run_on_ray

    return run_on_ray(submission, address)


if __name__ == "__main__":
    to_exit(app)
