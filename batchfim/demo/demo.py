"""`batchfim demo`: the whole way, from the interpreter's own library to completed middles."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from rich.console import Console

from batchfim.accounts.summary_text import summary_text
from batchfim.api import run_job
from batchfim.config_file import load_config
from batchfim.demo.examples import choose_examples, show_example
from batchfim.demo.holdout import is_held_out
from batchfim.errors import OutputError
from batchfim.prepare import prepare_code
from batchfim.prepare.holes import Kind

_NOT_LIBRARY = {"site-packages", "test", "tests", "idlelib", "lib2to3"}
_CORES_PER_WORKER = 4
# The demo model was trained on short samples; a longer prompt is cut to what it knows.
_CONTEXT_TOKENS = 512


def run_demo(folder: Path, workers: int | None) -> int:
    """Make records, run the job on a local Ray, show three of its middles.

    Args:
        folder: where records and results go; an earlier demo's results are replaced.
        workers: engines; None: one for each four cores, two at most.

    Returns:
        the job's exit code.
    """
    console = Console()
    _take(folder)
    records = folder / "records"
    console.print("[bold]1. Records[/]: holes in standard-library modules the model never saw")
    console.print(
        f"   {make_records(folder / 'sources.parquet', records)}", highlight=False, markup=False
    )
    workers = workers or min(2, max(1, (os.cpu_count() or 1) // _CORES_PER_WORKER))
    console.print(f"[bold]2. The job[/]: a local Ray, {workers} vLLM engine(s), the demo model")
    config = load_config(
        None,
        {
            "input.paths": [str(records)],
            "output.path": str(folder / "out"),
            "model.path": "demo",
            "engine.max_model_len": _CONTEXT_TOKENS,
            "infill.order": "spm_v2",  # the demo model's better one, as its card says
            "sampling.max_tokens": 64,
            "schedule.workers": workers,
            "schedule.shard_rows": 32,
        },
    )
    result = run_job(config)
    console.print("\n[bold]3. Three middles[/], as they stand in the files")
    rows = ds.dataset(folder / "out").to_table().to_pylist()
    for row in choose_examples(rows):
        show_example(row, console)
    console.print("\n[bold]4. Summary[/]")
    text = summary_text(result.summary, str(folder / "out"), report=result.report)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return result.exit_code


def _take(folder: Path) -> None:
    """Make the folder, or empty the one an earlier demo made; nobody else's files are touched."""
    mark = folder / ".batchfim-demo"
    if folder.exists() and not mark.exists() and not _is_empty(folder):
        raise OutputError(f"{folder} holds other files; name another folder with --output")
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    for made in ("records", "out"):
        shutil.rmtree(folder / made, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def make_records(sources: Path, records: Path) -> str:
    """Collect the held-out modules and cut a few hundred holes into them."""
    library = Path(sysconfig.get_paths()["stdlib"])
    modules = []
    for file in sorted(library.rglob("*.py")):
        name = file.relative_to(library)
        if is_held_out(name) and not _NOT_LIBRARY & set(name.parts):
            text = file.read_text(encoding="utf8")
            modules.append({"path": name.as_posix(), "language": "python", "code": text})
    pq.write_table(pa.Table.from_pylist(modules), sources)
    return str(prepare_code(sources, records, kinds=tuple(Kind), per_file=2, overwrite=True))
