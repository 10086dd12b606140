"""`batchfim prepare ...`: parse arguments and call the library; the main CLI handles errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batchfim.prepare.benchmarks import prepare_benchmark
from batchfim.prepare.code import ALL_KINDS, DEFAULT_KINDS, DEFAULT_MAX_BYTES, prepare_code
from batchfim.prepare.jsonl import prepare_jsonl

prepare_app = typer.Typer(
    help="Make records (Parquet rows with a hole) from code, benchmarks or JSON lines.",
    no_args_is_help=True,
)


def _at_home(text: str) -> Path:
    """Expand `~`, which shells leave alone after `--out=`."""
    return Path(text).expanduser()


Out = Annotated[
    Path,
    typer.Option(
        *("--out", "-o"),
        parser=_at_home,
        metavar="PATH",
        help="Folder to write records-00000.parquet, ... to.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace Parquet files in the output folder.")
]
Files = Annotated[
    list[Path], typer.Argument(help="JSON lines files, plain or gzip or zstd, or Parquet files.")
]


@prepare_app.command("code")
def code(
    source: Annotated[
        Path, typer.Argument(help="Folder of source files, or a Parquet file or folder.")
    ],
    out: Out,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of hole to cut, repeatable; one of "
            f"{', '.join(ALL_KINDS)}. Default: {', '.join(DEFAULT_KINDS)}.",
            show_default=False,
        ),
    ] = None,
    per_file: Annotated[int, typer.Option(help="Maximum holes of each kind per file.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed; another seed cuts other holes.")] = 0,
    language: Annotated[
        list[str] | None,
        typer.Option(help="Read only files in this language, such as python; repeatable."),
    ] = None,
    code_column: Annotated[
        str | None,
        typer.Option(help="Parquet column with the code. Default: code.", show_default=False),
    ] = None,
    max_bytes: Annotated[int, typer.Option(help="Skip files larger than this.")] = (
        DEFAULT_MAX_BYTES
    ),
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
def humaneval_infilling(files: Files, out: Out, overwrite: Overwrite = False) -> None:
    """Convert openai/human-eval-infilling.

    `batchfim prepare humaneval-infilling HumanEval-SingleLineInfilling.jsonl.gz -o records/`
    """
    typer.echo(str(prepare_benchmark("humaneval-infilling", files, out, overwrite=overwrite)))


@prepare_app.command("safim")
def safim(files: Files, out: Out, overwrite: Overwrite = False) -> None:
    """Convert gonglinyuan/safim: `batchfim prepare safim block_completion.jsonl.gz -o records/`."""
    typer.echo(str(prepare_benchmark("safim", files, out, overwrite=overwrite)))


@prepare_app.command("crosscodeeval")
def crosscodeeval(files: Files, out: Out, overwrite: Overwrite = False) -> None:
    """Convert amazon-science/cceval or fim-bench's cceval, cclongeval and repoeval.

    `batchfim prepare crosscodeeval python/line_completion_rg1_bm25.jsonl -o records/`
    """
    typer.echo(str(prepare_benchmark("crosscodeeval", files, out, overwrite=overwrite)))


@prepare_app.command("santacoder-fim")
def santacoder_fim(files: Files, out: Out, overwrite: Overwrite = False) -> None:
    """Convert bigcode/santacoder-fim-task or fim-bench's hm_fim, which is identical.

    `batchfim prepare santacoder-fim train.parquet -o records/`
    """
    typer.echo(str(prepare_benchmark("santacoder-fim", files, out, overwrite=overwrite)))


@prepare_app.command("jsonl")
def jsonl(
    files: Files,
    out: Out,
    prefix: Annotated[str, typer.Option(help="Field with the text before the hole.")],
    suffix: Annotated[
        str | None,
        typer.Option(help="Field with the text after the hole; if unset, nothing follows it."),
    ] = None,
    middle: Annotated[str | None, typer.Option(help="Field with the reference middle.")] = None,
    id_field: Annotated[
        str | None, typer.Option("--id", help="Field with a unique id. Default: <file>:<line>.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Field to copy into the records, repeatable; others are left out."),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave out lines that cannot become records; count them."),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Convert any JSON lines or Parquet, mapping fields by name.

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
        skip_bad=skip_bad,
        overwrite=overwrite,
    )
    typer.echo(str(report))
