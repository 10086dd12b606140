"""Benchmark a job's settings on a sample of it: `python -m jobs.bench --job-file job.yaml`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from batchfim.config.files import load_config
from batchfim.exits import run_command
from jobs.options import JobFiles, Sets, entry_point

app = entry_point()


@app.command()
def bench(
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Rows in the sample. Default: 2,048, or 16,384 on GPUs."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the sample.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of runs, with one engine start each.")
    ] = 3,
    keep_as: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Also write the lines to OUTPUT.bench/NAME.jsonl."),
    ] = None,
) -> None:
    """Run a sample of the job several times on one engine; print one line of JSON per run."""
    from batchfim.api import bench_job

    bench_job(
        load_config(job_file, sets=sets),
        sample_rows=rows,
        seed=seed,
        repeats=repeats,
        keep_as=keep_as,
        tell=lambda trial: typer.echo(json.dumps(asdict(trial))),
    )


if __name__ == "__main__":
    run_command(app)
