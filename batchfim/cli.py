"""Arguments in, calls out, exit codes; no logic."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from batchfim.config import JobConfig
from batchfim.config_file import load_config
from batchfim.errors import ConfigError
from batchfim.exits import to_exit
from batchfim.prepare.cli import prepare_app
from batchfim.terminal import busy, printable

app = typer.Typer(
    help="Complete the middle of code, in bulk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(prepare_app, name="prepare")

JobFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[JOB.yaml]...", help="Job file; of several, later ones win."),
]
Inputs = Annotated[list[str] | None, typer.Option("--input", help="Parquet file, folder or glob.")]
ModelPath = Annotated[str | None, typer.Option("--model", help="Folder, model id, or `demo`.")]
Sets = Annotated[
    list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting.")
]
OutputPath = Annotated[str, typer.Argument(metavar="OUTPUT", help="The job's output folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    job: JobFiles = None,
    input_: Inputs = None,
    output: Annotated[str | None, typer.Option(help="Output folder.")] = None,
    model: ModelPath = None,
    ray_address: Annotated[str | None, typer.Option(help="Ray cluster; unset: local.")] = None,
    sets: Sets = [],  # noqa: B006 - typer copies it
) -> None:
    """Run a job, or go on with it: `batchfim run --input records/ --output out/ --model demo`."""
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
    output: Annotated[str | None, typer.Option(help="Output folder of the job.")] = None,
    model: ModelPath = None,
    sets: Sets = [],  # noqa: B006
    rows: Annotated[int, typer.Option(min=1, help="Rows of the sample.")] = 4096,
    seed: Annotated[int, typer.Option(help="Random seed of the sample.")] = 0,
    price: Annotated[
        float | None, typer.Option("--price-per-gpu-hour", min=0, help="Unset: no cost.")
    ] = None,
    speed_from: Annotated[
        str | None,
        typer.Option(
            metavar="OUTPUT", help="An earlier run, same model and device, for its speed."
        ),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the speed by a short run.")
    ] = False,
    calibration_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of that run; unset: 512, on GPUs 4,096.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate rows, tokens, hours and cost of a job: `batchfim plan job.yaml --calibrate`."""
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
        typer.Option("--knob", metavar="SECTION.KEY=V,V", help="What to try; unset: by engine."),
    ] = [],  # noqa: B006
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of the sample; unset: 2,048, on GPUs 16,384.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the sample.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=1, help="Extra runs of the winner and of the job's own settings.")
    ] = 2,
    output: Annotated[Path | None, typer.Option("-o", help="Job file to write.")] = None,
) -> None:
    """Find faster settings by short jobs on a sample, one engine start each.

    `batchfim tune --model demo --input records/ -o tuned.yaml`, then `batchfim run job.yaml
    tuned.yaml`.
    """
    from batchfim.api import tune_job
    from batchfim.tuning.text import job_file, trial_text, tuning_text

    if output and (output.is_dir() or not os.access(output.parent, os.W_OK)):
        raise ConfigError(f"-o {output}: not a file that can be written")
    # Trials lie beside the output; without a job file, in the folder one is in.
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
        bool, typer.Option("--watch", help="Refresh until no run holds the job.")
    ] = False,
) -> None:
    """Tell how a job stands, also while it runs: `batchfim status out/`."""
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
    ray_address: Annotated[str | None, typer.Option(help="Ray cluster; unset: local.")] = None,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Work a job's failed rows again, each in its place: `batchfim retry out/`."""
    from batchfim.accounts.summary_text import summary_text
    from batchfim.api import retry_job

    result = retry_job(output, {"resources.ray_address": ray_address}, sets)
    typer.echo(summary_text(result.summary, output, idle=result.idle, report=result.report))
    raise typer.Exit(result.exit_code)


@app.command()
def verify(output: OutputPath, as_json: AsJson = False) -> None:
    """Check every part of a job against its ledger, and change nothing: `batchfim verify out/`."""
    from batchfim.accounts.verify import verify_text
    from batchfim.api import verify_job

    found = verify_job(output)
    typer.echo(json.dumps(found, indent=1) if as_json else verify_text(found))
    raise typer.Exit(1 if found["problems"] else 0)


@app.command()
def evaluate(
    output: OutputPath,
    middle: Annotated[str, typer.Option(help="Column with the text to evaluate.")] = "middle",
    reference: Annotated[
        str | None,
        typer.Option(help="Column to compare it with.", show_default="middle_reference"),
    ] = None,
    rule: Annotated[str, typer.Option(help="What of the text counts; see GUIDE.md.")] = "as_is",
    allow_execution: Annotated[
        bool, typer.Option("--allow-execution", help="Run the records' tests: pass@k.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds, of one program.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the intervals.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Tell how good a job's middles are, with confidence intervals: `batchfim evaluate out/`.

    With --allow-execution it runs what the model wrote, against the records' tests, in a sandbox.
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
    """Make a job's report.html anew, also while it runs: `batchfim report out/`."""
    from batchfim.api import report_job

    with busy("reading what is done, drawing"):
        place = report_job(output)
    typer.echo(printable(place))


@app.command()
def compare(
    outputs: Annotated[
        list[str], typer.Argument(metavar="OUTPUT...", help="Jobs' output folders.")
    ],
    as_json: AsJson = False,
) -> None:
    """Put jobs side by side, quality too where it was evaluated: `batchfim compare out/ out-2/`."""
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
    """Show the resolved config of a job file, or the schema: `batchfim config --schema`."""
    if schema:
        typer.echo(json.dumps(JobConfig.model_json_schema(), indent=1))
    else:
        resolved = load_config(job, sets=sets).model_dump(mode="json")
        typer.echo(yaml.safe_dump(resolved, sort_keys=False), nl=False)


@app.command()
def prompt(
    prefix: Annotated[str, typer.Option(help="Text before the hole.")],
    suffix: Annotated[str, typer.Option(help="Text after the hole.")],
    job: JobFiles = None,
    model: ModelPath = None,
    family: Annotated[str | None, typer.Option(help="Infilling family; unset: detected.")] = None,
    order: Annotated[str | None, typer.Option(help="Layout; unset: the recommended one.")] = None,
    path: Annotated[str, typer.Option(help="The record's file, where the layout has it.")] = "",
    repo: Annotated[str, typer.Option(help="Its repository.")] = "",
    language: Annotated[str, typer.Option(help="Its language.")] = "",
    context: Annotated[
        list[Path], typer.Option(help="Another file of it; several in their order.")
    ] = [],  # noqa: B006
    sets: Sets = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the prompt a record becomes; needs the model's tokenizer only.

    `batchfim prompt --model demo --prefix 'def f(' --suffix '): pass'`, or by a job file's model
    and format.
    """
    from batchfim.api import show_prompt
    from batchfim.surroundings import Surroundings, read_context

    flags: dict[str, Any] = {"model.path": model, "model.family": family, "infill.order": order}
    if not job:
        flags |= {"input.paths": ["."], "output.path": "."}  # neither is looked at
    files = tuple(read_context(file) for file in context)
    around = Surroundings(path=path, repo=repo, language=language, context=files)
    shown = show_prompt(load_config(job, flags, sets), prefix, suffix, around=around)
    typer.echo(json.dumps(shown) if as_json else _prompt_text(shown))


@app.command()
def families(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Model id or folder.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the model's own tokenizer code.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every field.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print FAMILIES.md.")] = False,
) -> None:
    """List the families, or say which one a model is of and why.

    `batchfim families bigcode/starcoder2-3b`
    """
    from batchfim.families import detection_text, explain_model, list_families
    from batchfim.families_text import families_markdown, families_table

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
    workers: Annotated[int | None, typer.Option(help="Engines; unset: by cores.")] = None,
) -> None:
    """Fill a few hundred holes in the standard library with the demo model: `batchfim demo`."""
    from batchfim.demo.demo import run_demo

    raise typer.Exit(run_demo(output, workers))


def main() -> None:
    """Entry point."""
    to_exit(app)


def _prompt_text(shown: dict[str, Any]) -> str:
    lines = [f"{shown['family']}, order {shown['order']}, {shown['prompt_tokens']} tokens"]
    for piece in shown["pieces"]:
        lines.append(f"{piece['kind']:>8}  {piece['text']!r}  {piece['token_ids']}")
    lines.append(f"   stops  {shown['stop_token_ids']}")
    return "\n".join(lines)
