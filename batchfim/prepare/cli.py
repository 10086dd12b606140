"""`batchfim prepare ...`: arguments in, calls out; errors pass through to the main CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batchfim.prepare.benchmarks import prepare_benchmark
from batchfim.prepare.code import ALL_KINDS, DEFAULT_KINDS, DEFAULT_MAX_BYTES, prepare_code
from batchfim.prepare.jsonl import prepare_jsonl

prepare_app = typer.Typer(
    help="Make records (Parquet with a hole) from sources.", no_args_is_help=True
)


def _at_home(text: str) -> Path:
    """Shells leave `~` alone after `--out=`."""
    return Path(text).expanduser()


Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", parser=_at_home, metavar="PATH", help="Folder for records-00000.parquet, ..."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the Parquet files in OUT.")]
Files = Annotated[list[Path], typer.Argument(help="JSON lines, gzip or not.")]
PublishedFiles = Annotated[list[Path], typer.Argument(help="JSON lines, gzip or not, or Parquet.")]


@prepare_app.command("code")
def code(
    source: Annotated[
        Path, typer.Argument(help="Folder of source files, or Parquet file or folder.")
    ],
    out: Out,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Repeatable: {', '.join(ALL_KINDS)}. Default: {', '.join(DEFAULT_KINDS)}.",
            show_default=False,
        ),
    ] = None,
    per_file: Annotated[int, typer.Option(help="Holes of each kind in each file, at most.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed, other holes.")] = 0,
    language: Annotated[
        list[str] | None, typer.Option(help="Repeatable: take only these, such as python.")
    ] = None,
    code_column: Annotated[
        str | None,
        typer.Option(help="Parquet column with the code. Default: code.", show_default=False),
    ] = None,
    max_bytes: Annotated[int, typer.Option(help="Skip larger files.")] = DEFAULT_MAX_BYTES,
    overwrite: Overwrite = False,
) -> None:
    """Cut holes into source code: `batchfim prepare code src/ -o records/ --kind block`."""
    report = prepare_code(
        source,
        out,
        kinds=kind or DEFAULT_KINDS,
        per_file=per_file,
        seed=seed,
        languages=language or (),
        code_column=code_column,
        max_bytes=max_bytes,
        overwrite=overwrite,
    )
    typer.echo(str(report))


@prepare_app.command("humaneval-infilling")
def humaneval_infilling(files: PublishedFiles, out: Out, overwrite: Overwrite = False) -> None:
    """Convert openai/human-eval-infilling.

    `batchfim prepare humaneval-infilling HumanEval-SingleLineInfilling.jsonl.gz -o records/`
    """
    typer.echo(str(prepare_benchmark("humaneval-infilling", files, out, overwrite=overwrite)))


@prepare_app.command("safim")
def safim(files: PublishedFiles, out: Out, overwrite: Overwrite = False) -> None:
    """Convert gonglinyuan/safim: `batchfim prepare safim block_completion.jsonl.gz -o records/`."""
    typer.echo(str(prepare_benchmark("safim", files, out, overwrite=overwrite)))


@prepare_app.command("crosscodeeval")
def crosscodeeval(files: PublishedFiles, out: Out, overwrite: Overwrite = False) -> None:
    """Convert amazon-science/cceval, and fim-bench's cceval, cclongeval and repoeval.

    `batchfim prepare crosscodeeval python/line_completion_rg1_bm25.jsonl -o records/`
    """
    typer.echo(str(prepare_benchmark("crosscodeeval", files, out, overwrite=overwrite)))


@prepare_app.command("santacoder-fim")
def santacoder_fim(files: PublishedFiles, out: Out, overwrite: Overwrite = False) -> None:
    """Convert bigcode/santacoder-fim-task, and fim-bench's hm_fim, which is the same.

    `batchfim prepare santacoder-fim train.parquet -o records/`
    """
    typer.echo(str(prepare_benchmark("santacoder-fim", files, out, overwrite=overwrite)))


@prepare_app.command("jsonl")
def jsonl(
    files: Files,
    out: Out,
    prefix: Annotated[str, typer.Option(help="Field with the text before the hole.")],
    suffix: Annotated[
        str | None, typer.Option(help="Field with the text after the hole; unset: there is none.")
    ] = None,
    middle: Annotated[str | None, typer.Option(help="Field with the reference middle.")] = None,
    id_field: Annotated[
        str | None, typer.Option("--id", help="Field with a unique id; else <file>:<line>.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Repeatable: a field that rides along.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Map the fields of any JSON lines, or Parquet.

    `batchfim prepare jsonl data.jsonl -o records/ --prefix before --suffix after`
    """
    report = prepare_jsonl(
        files,
        out,
        prefix=prefix,
        suffix=suffix,
        middle=middle,
        id_field=id_field,
        keep=keep or (),
        overwrite=overwrite,
    )
    typer.echo(str(report))
