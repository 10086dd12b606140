"""The command line: parses arguments, calls `batchfim.api` and sets exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from batchfim.exits import run_command
from batchfim.prepare.cli import prepare_app
from batchfim.terminal import busy, printable

app = typer.Typer(
    help="Bulk fill-in-the-middle code infilling.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(prepare_app, name="prepare")

JobFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[JOB.yaml]...", help="Job files; later ones override earlier ones."),
]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", help="Parquet file, folder or glob; may be repeated.")
]
ModelPath = Annotated[
    str | None, typer.Option("--model", help="Model folder, model id, or `demo`.")
]
Sets = Annotated[
    list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting.")
]
OutputPath = Annotated[str, typer.Argument(metavar="OUTPUT", help="The job's output folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RayAddress = Annotated[
    str | None, typer.Option(help="Address of a Ray cluster; default: RAY_ADDRESS, else local.")
]


@app.command()
def run(
    job: JobFiles = None,
    input_: Inputs = None,
    output: Annotated[str | None, typer.Option(help="Output folder.")] = None,
    model: ModelPath = None,
    ray_address: RayAddress = None,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Run or resume a job: `batchfim run --input records/ --output out/ --model demo`."""
    from batchfim.accounts.summary_text import summary_text
    from batchfim.api import run_job

    flags = {
        "input.paths": input_,
        "output.path": output,
        "model.path": model,
        "resources.ray_address": ray_address,
    }
    config = load_config(job, flags, sets)
    result = run_job(config)
    where, idle = config.output.path, result.idle
    typer.echo(summary_text(result.summary, where, idle=idle, report=result.report))
    raise typer.Exit(result.exit_code)


@app.command()
def plan(
    job: JobFiles = None,
    input_: Inputs = None,
    output: Annotated[str | None, typer.Option(help="The job's output folder.")] = None,
    model: ModelPath = None,
    sets: Sets = [],  # noqa: B006
    rows: Annotated[int, typer.Option(min=1, help="Rows to sample.")] = 4096,
    seed: Annotated[int, typer.Option(help="Random seed for the sample.")] = 0,
    price: Annotated[
        float | None,
        typer.Option("--price-per-gpu-hour", min=0, help="Price of a GPU-hour; unset: no cost."),
    ] = None,
    speed_from: Annotated[
        str | None,
        typer.Option(
            metavar="OUTPUT",
            help="Output of an earlier run on the same model and device, whose speed to use.",
        ),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the speed in a short run.")
    ] = False,
    calibration_rows: Annotated[
        int | None,
        typer.Option(min=1, help="Rows of the calibration run; default: 512, on GPUs 4,096."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate a job's rows, tokens, hours and cost: `batchfim plan job.yaml --calibrate`."""
    from batchfim.api import plan_job
    from batchfim.forecast.text import forecast_text

    flags = {"input.paths": input_, "output.path": output, "model.path": model}
    forecast = plan_job(
        load_config(job, flags, sets),
        sample_rows=rows,
        seed=seed,
        price=price,
        speed_from=speed_from,
        calibration_rows=calibration_rows if calibrate else 0,
    )
    typer.echo(json.dumps(forecast, indent=1) if as_json else forecast_text(forecast))


@app.command()
def tune(
    job: JobFiles = None,
    input_: Inputs = None,
    model: ModelPath = None,
    sets: Sets = [],  # noqa: B006
    knobs: Annotated[
        list[str],
        typer.Option(
            "--knob",
            metavar="SECTION.KEY=V,V",
            help="Settings and values to try; default: a set chosen for the engine.",
        ),
    ] = [],  # noqa: B006
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to sample; default: 2,048, on GPUs 16,384.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the sample.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=1, help="Extra runs of the winner and of the job's own settings.")
    ] = 2,
    output: Annotated[Path | None, typer.Option("-o", help="Job file to write.")] = None,
) -> None:
    """Find faster settings with short jobs on a sample, one engine start per job.

    `batchfim tune --model demo --input records/ -o tuned.yaml`, then `batchfim run job.yaml
    tuned.yaml`.
    """
    from batchfim.api import tune_job
    from batchfim.tuning.text import job_file, trial_text, tuning_text

    if output and (output.is_dir() or not os.access(output.parent, os.W_OK)):
        raise ConfigError(f"-o {output}: cannot be written; give a file in a writable folder")
    # Trials go beside the output; without a job file, into the working folder.
    flags = {"input.paths": input_, "model.path": model, "output.path": None if job else "tune"}
    found = tune_job(
        load_config(job, flags, sets),
        knobs,
        sample_rows=rows,
        seed=seed,
        repeats=repeats,
        tell=lambda trial: typer.echo(trial_text(trial), err=True),
    )
    typer.echo(tuning_text(found))
    if output:
        output.write_text(job_file(found.best), encoding="utf8")


@app.command()
def status(
    output: OutputPath,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh until no run holds the job's lease.")
    ] = False,
) -> None:
    """Show the state of a job, even while it runs: `batchfim status out/`."""
    from batchfim.accounts import watching
    from batchfim.accounts.status_text import status_text
    from batchfim.api import job_status

    def show(found: dict[str, Any]) -> None:
        if watch and not as_json:
            Console().clear()  # does nothing off a terminal
        typer.echo(json.dumps(found, indent=1) if as_json else status_text(found))

    if watch:
        watching.watch(lambda: job_status(output), show)
    else:
        show(job_status(output))


@app.command()
def retry(
    output: OutputPath,
    ray_address: RayAddress = None,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Retry a job's failed rows, replacing each in place: `batchfim retry out/`."""
    from batchfim.accounts.summary_text import summary_text
    from batchfim.api import retry_job

    result = retry_job(output, {"resources.ray_address": ray_address}, sets)
    typer.echo(summary_text(result.summary, output, idle=result.idle, report=result.report))
    raise typer.Exit(result.exit_code)


@app.command()
def verify(output: OutputPath, as_json: AsJson = False) -> None:
    """Check every part of a job against its ledger, without changes: `batchfim verify out/`."""
    from batchfim.accounts.verify import verify_text
    from batchfim.api import verify_job

    found = verify_job(output)
    typer.echo(json.dumps(found, indent=1) if as_json else verify_text(found))
    raise typer.Exit(1 if found["problems"] else 0)


@app.command()
def evaluate(
    output: OutputPath,
    middle: Annotated[str, typer.Option(help="Column to evaluate.")] = "middle",
    reference: Annotated[
        str | None,
        typer.Option(help="Column with the expected text.", show_default="middle_reference"),
    ] = None,
    rule: Annotated[
        str, typer.Option(help="Truncation rule applied before scoring; see GUIDE.md.")
    ] = "as_is",
    allow_execution: Annotated[
        bool, typer.Option("--allow-execution", help="Run the records' tests to compute pass@k.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Time limit per program, in seconds.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the confidence intervals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Score a job's middles, with confidence intervals: `batchfim evaluate out/`.

    With --allow-execution, the code the model wrote runs against the records' tests in a sandbox.
    """
    from batchfim.api import evaluate_job
    from batchfim.quality.options import Options
    from batchfim.quality.text import evaluation_text, progress
    from batchfim.sandbox.sandbox import Limits

    limits = Limits(timeout_s=timeout) if allow_execution else None
    options = Options(middle, reference, rule, execution=limits, seed=seed)
    with progress() as tell:
        found = evaluate_job(output, options, tell=tell)
    typer.echo(json.dumps(found, indent=1) if as_json else evaluation_text(found))


@app.command()
def report(output: OutputPath) -> None:
    """Write a job's report.html, even while it runs: `batchfim report out/`."""
    from batchfim.api import report_job

    with busy("reading the ledger and drawing"):
        place = report_job(output)
    typer.echo(printable(place))


@app.command()
def compare(
    outputs: Annotated[
        list[str], typer.Argument(metavar="OUTPUT...", help="Jobs' output folders.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare jobs, including quality if evaluated: `batchfim compare out/ out-2/`."""
    from batchfim.api import compare_jobs
    from batchfim.report.compare import comparison_text

    found = compare_jobs(outputs)
    typer.echo(json.dumps(found, indent=1) if as_json else comparison_text(found))


@app.command()
def config(
    job: JobFiles = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema.")] = False,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Print a job file's resolved config, or the schema: `batchfim config --schema`."""
    if schema:
        typer.echo(json.dumps(JobConfig.model_json_schema(), indent=1))
    else:
        resolved = load_config(job, sets=sets).model_dump(mode="json")
        typer.echo(yaml.safe_dump(resolved, sort_keys=False), nl=False)


@app.command()
def prompt(
    job: JobFiles = None,
    prefix: Annotated[str | None, typer.Option(help="Text before the hole.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Text after the hole.")] = None,
    row: Annotated[
        int | None,
        typer.Option(min=0, help="Row of the first input file, counted from 0, to show instead."),
    ] = None,
    input_: Inputs = None,
    model: ModelPath = None,
    family: Annotated[
        str | None, typer.Option(help="Infilling family; default: detected from the model.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Layout; default: the family's recommended one.")
    ] = None,
    path: Annotated[
        str, typer.Option(help="Path of the record's file, for layouts that include it.")
    ] = "",
    repo: Annotated[str, typer.Option(help="Name of the record's repository.")] = "",
    language: Annotated[str, typer.Option(help="Language of the record.")] = "",
    context: Annotated[
        list[Path], typer.Option(help="Context file; repeat for several, in prompt order.")
    ] = [],  # noqa: B006
    sets: Sets = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the prompt built for a record; needs only the model's tokenizer.

    `batchfim prompt --model demo --prefix 'def f(' --suffix '): pass'`, or with the model and
    format of a job file; `batchfim prompt job.yaml --row 0` for a row of its input.
    """
    from batchfim.api import show_prompt, show_row
    from batchfim.models.showing import prompt_text
    from batchfim.surroundings import NOWHERE, Surroundings, read_context

    flags: dict[str, Any] = {"model.path": model, "model.family": family, "infill.order": order}
    if not job:  # required, but not used
        flags |= {"output.path": "."} | ({"input.paths": ["."]} if row is None else {})
    flags |= {"input.paths": input_} if input_ else {}
    files = tuple(read_context(file) for file in context)
    around = Surroundings(path=path, repo=repo, language=language, context=files)
    config = load_config(job, flags, sets)
    if row is None and prefix is not None and suffix is not None:
        shown = show_prompt(config, prefix, suffix, around=around)
    elif row is not None and prefix is suffix is None and around == NOWHERE:
        shown = show_row(config, row)
    else:
        raise ConfigError("give --prefix and --suffix, or --row, whose texts are all in the input")
    typer.echo(json.dumps(shown) if as_json else prompt_text(shown))


@app.command()
def families(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Model id or folder.")
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Allow the model's own tokenizer code to run."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every field.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print FAMILIES.md.")] = False,
) -> None:
    """List the families, or show which one a model belongs to and why.

    `batchfim families bigcode/starcoder2-3b`
    """
    from batchfim.models.families import detection_text, explain_model, list_families
    from batchfim.models.families_text import families_markdown, families_table

    if model is not None:
        row = explain_model(model, trust_remote_code=trust_remote_code)
        typer.echo(json.dumps(row) if as_json else detection_text(row))
    elif as_json:
        typer.echo(json.dumps(list_families(), indent=1, ensure_ascii=False))
    else:
        typer.echo(families_markdown() if markdown else families_table(), nl=False)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for records and results.")] = Path(
        "demo-out"
    ),
    workers: Annotated[
        int | None, typer.Option(help="Number of engines; default: by CPU cores.")
    ] = None,
) -> None:
    """Fill a few hundred holes in the standard library with the demo model: `batchfim demo`."""
    from batchfim.demo.demo import run_demo

    raise typer.Exit(run_demo(output, workers))


def main() -> None:
    """Run the `batchfim` command; errors meant for users become exit codes."""
    run_command(app)
