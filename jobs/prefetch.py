"""Download a job's model to this machine's disk: `python -m jobs.prefetch --job-file job.yaml`."""

from __future__ import annotations

import json

import typer

from batchfim.config.files import load_config
from batchfim.exits import run_command
from jobs.options import JobFiles, Sets, entry_point

app = entry_point()


@app.command()
def prefetch(
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Download the model and its LoRA adapters, check their files and print where they are.

    A model id goes to the Hugging Face cache (HF_HOME), a model at a URL to
    $XDG_CACHE_HOME/batchfim. Workers with the same two variables find them there.
    """
    from batchfim.models.fetching import fetch_models

    for fetched in fetch_models(load_config(job_file, sets=sets).model):
        typer.echo(json.dumps(fetched.summary()))


if __name__ == "__main__":
    run_command(app)
