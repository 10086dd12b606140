"""Measure the engine's defaults on CPU, one by one: `python -m benchmarks.engine_defaults`.

batchfim's worker processes ten holes in each of some standard-library files, in file order. An
engine with a setting's default and one with another value, otherwise equal, take turns. The result
is the median of the rounds' ratios; token counts explain a ratio. GPUs have other defaults (vLLM's
own for offline use), which this does not measure.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from batchfim.engines.cpu import dtype_argument
from batchfim.models.files import demo_model_path
from benchmarks.house_side import HouseSide
from benchmarks.measuring import keep, machine
from benchmarks.records import encode, standard_library, write
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sides import InProcess, Round

OTHERS: tuple[dict[str, Any], ...] = (
    {"block_size": 64},
    {"block_size": 128},
    {"max_num_seqs": 64},
    {"max_num_seqs": 256},
    {"max_num_batched_tokens": 2048},
    {"max_num_batched_tokens": 8192},
    {"enable_prefix_caching": False},
    {"enable_chunked_prefill": False},
    {"VLLM_CPU_OMP_THREADS_BIND": "auto"},  # vLLM's own choice, with a process for the model
    {"distributed_executor_backend": "mp"},  # that process, with unchanged threads
)


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="settings to measure; all by default"
    )
    parser.add_argument("--keep-as", metavar="NAME", default="engine_defaults")
    options = parser.parse_args()
    started = machine()
    with tempfile.TemporaryDirectory() as folder:
        path = _file(Path(folder), options.files)
        with _engine(path, {}) as default:
            default.work(path)  # warm-up
            over_default = {
                _name(other): _compared(default, other, path, options.rounds)
                for other in (*OTHERS, _other_dtype())
                if options.only is None or set(other) <= set(options.only)
            }
    result = {
        "over_default": over_default,
        "model": "demo",
        "not_measured": "settings together, which `batchfim tune` tries; other models; a GPU",
    }
    keep(options.keep_as, result, started=started)


def _compared(default: InProcess, other: dict[str, Any], path: Path, rounds: int) -> dict[str, Any]:
    """Ratio of another value's speed to the default's."""
    ours: list[Round] = []
    theirs: list[Round] = []
    with _engine(path, other) as side:
        side.work(path)  # warm-up
        for _ in range(rounds):
            ours.append(default.work(path))
            theirs.append(side.work(path))
    ratios = [t.records_per_s / o.records_per_s for o, t in zip(ours, theirs, strict=True)]
    told = {
        "records_per_s": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "default": ours[-1].figures(),
        "other": theirs[-1].figures(),
    }
    print(_name(other), told, flush=True)
    return told


def _engine(path: Path, args: dict[str, Any]) -> InProcess:
    """An engine with a job's defaults, without the arguments of the other benchmarks.

    Uppercase names are set as environment variables while the engine's process starts.
    """
    variables = {name: value for name, value in args.items() if name.isupper()}
    others = {name: value for name, value in args.items() if not name.isupper()}
    with patch.dict(os.environ, variables):
        return InProcess(HouseSide, replace(demo_setup(path.parent), args=others))


def _other_dtype() -> dict[str, str]:
    """Of float32 and the model's own dtype, the one that is not this machine's default."""
    default = dtype_argument(demo_model_path(), {}).get("dtype", "bfloat16")
    return {"dtype": "bfloat16" if default == "float32" else "float32"}


def _name(args: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in args.items())


def _file(folder: Path, num_files: int) -> Path:
    records = standard_library(seed=0, num_files=num_files)
    return write(folder / "records.parquet", records, encode(records, demo_encoder()))


if __name__ == "__main__":
    main()
