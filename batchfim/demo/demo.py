"""`batchfim demo`: from the interpreter's standard library to completed middles."""

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
from batchfim.config.files import load_config
from batchfim.demo.examples import choose_examples, show_example
from batchfim.demo.holdout import is_held_out
from batchfim.errors import OutputError
from batchfim.prepare import prepare_code
from batchfim.prepare.holes import Kind

_NOT_LIBRARY = {"site-packages", "test", "tests", "idlelib", "lib2to3"}
_CORES_PER_WORKER = 4
# The demo model was trained on short samples, so longer prompts are truncated to that length.
_CONTEXT_TOKENS = 512


def run_demo(folder: Path, workers: int | None) -> int:
    """Make records, run the job on a local Ray, show three of its middles.

    Args:
        folder: folder for records and results; an earlier demo's results are replaced.
        workers: number of engines; if None, one per four cores, at most two.

    Returns:
        the job's exit code.
    """
    console = Console()
    _take(folder)
    records = folder / "records"
    console.print("[bold]1. Records[/]: holes in standard-library modules the model has never seen")
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
            "infill.order": "spm_v2",  # the better order of the demo model, according to its card
            "sampling.max_tokens": 64,
            "schedule.workers": workers,
            "schedule.shard_rows": 32,
        },
    )
    result = run_job(config)
    console.print("\n[bold]3. Three middles[/], in place in their files")
    rows = ds.dataset(folder / "out").to_table().to_pylist()
    for row in choose_examples(rows):
        show_example(row, console)
    console.print("\n[bold]4. Summary[/]")
    text = summary_text(result.summary, str(folder / "out"), report=result.report)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return result.exit_code


def _take(folder: Path) -> None:
    """Create the folder, or empty it if an earlier demo made it; other files are never touched."""
    mark = folder / ".batchfim-demo"
    if folder.exists() and not mark.exists() and not _is_empty(folder):
        raise OutputError(f"{folder}: contains other files; choose another folder with --output")
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
