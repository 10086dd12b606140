"""Run a job on a cluster and wait for it: `python -m jobs.submit --backend ray --job-file ...`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from batchfim.cluster.token import use_ray_token
from batchfim.config import JobConfig
from batchfim.config.absolute_paths import absolute
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from batchfim.exits import run_command
from batchfim.signals import exit_signals
from jobs.options import JobFiles, Sets, entry_point
from jobs.rayjob import (
    Owner,
    as_benchmark,
    as_retry,
    as_run,
    check_entrypoint,
    read_labels,
    read_manifest,
    settings,
)
from jobs.submission import Entry, Submission

app = entry_point()


class Backend(StrEnum):
    """The kind of cluster that runs the job."""

    RAY = "ray"
    K8S = "k8s"


@app.command()
def submit(
    backend: Annotated[Backend, typer.Option(help="An existing Ray cluster, or Kubernetes.")],
    job_file: JobFiles,
    sets: Sets = [],  # noqa: B006 - typer copies it
    entry: Annotated[Entry, typer.Option(help="Entry point to run.")] = Entry.INFILL,
    address: Annotated[
        str | None,
        typer.Option(
            help="ray: address of the Jobs API. Default: RAY_API_SERVER_ADDRESS, else this machine."
        ),
    ] = None,
    rayjob: Annotated[
        str | None,
        typer.Option(
            help="k8s: RayJob to copy: the only one of a .yaml file, or a name in the cluster."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="k8s: name of the new RayJob. Default: that of --rayjob.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="k8s: namespace. Default: the pod's, else the kubeconfig's current one."),
    ] = None,
    label: Annotated[
        list[str],
        typer.Option(metavar="KEY=VALUE", help="k8s: label to add to the RayJob; repeatable."),
    ] = [],  # noqa: B006 - typer copies it
    owner_name: Annotated[
        str | None, typer.Option(help="k8s: name of the Job that owns the RayJob.")
    ] = None,
    owner_uid: Annotated[str | None, typer.Option(help="k8s: uid of that Job.")] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Print what would be submitted, and submit nothing.")
    ] = False,
) -> None:
    """Submit a job, or follow it if it already runs; wait, and exit with its exit code.

    If this command is interrupted, the job goes on; run the same command to follow it again.
    """
    config = load_config(job_file, sets=sets)
    with exit_signals():
        if backend is Backend.RAY:
            raise typer.Exit(_on_ray(config, entry, address, dry_run=dry_run))
        if rayjob is None or sets:
            raise ConfigError(
                "--backend k8s: needs --rayjob and accepts no --set; put settings into the job "
                "file or the RayJob's entrypoint"
            )
        owner = Owner(owner_name, owner_uid) if owner_name and owner_uid else None
        found = _rayjob(rayjob, namespace)
        check_entrypoint(found, job_file, rayjob)
        config = load_config(job_file, sets=settings(found))  # the job that the RayJob runs
        run = _run_of(found, config, entry, name=name, owner=owner, labels=read_labels(label))
        raise typer.Exit(_on_k8s(run, namespace, dry_run=dry_run))


def _run_of(rayjob: dict[str, Any], config: JobConfig, entry: Entry, **more: Any) -> dict[str, Any]:
    """The RayJob to create for an entry point; `more` as for `as_run`.

    Raises:
        ConfigError: the entry point does not run on Kubernetes, or not by this RayJob.
    """
    if entry is Entry.PREFETCH:
        raise ConfigError(
            "--backend k8s: --entry prefetch is only for --backend ray; on Kubernetes the "
            "CronJob's prefetch container downloads the model"
        )
    copied = as_retry(rayjob) if entry is Entry.RETRY else rayjob
    run = as_run(copied, _written(config, entry), **more)
    if entry is Entry.BENCH:
        return as_benchmark(run, run["metadata"]["name"], config.resources.nodes_per_worker)
    return run


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


def _written(config: JobConfig, entry: Entry) -> str:
    """Path that only one run at a time may write; a benchmark leaves the job's output alone."""
    return config.output.path + (f".{entry}" if entry is Entry.BENCH else "")


def _rayjob(rayjob: str, namespace: str | None) -> dict[str, Any]:
    if Path(rayjob).suffix in (".yaml", ".yml"):
        return read_manifest(Path(rayjob))
    from jobs.on_k8s import ApiServer, read_template

    return read_template(rayjob, ApiServer(namespace))


def _on_k8s(rayjob: dict[str, Any], namespace: str | None, *, dry_run: bool) -> int:
    if dry_run:
        typer.echo(yaml.safe_dump(rayjob, sort_keys=False), nl=False)
        return 0
    from jobs.on_k8s import ApiServer, run_on_k8s

    return run_on_k8s(rayjob, ApiServer(namespace))


if __name__ == "__main__":
    run_command(app)
