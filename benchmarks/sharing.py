"""Measure prompts that share prefixes, with a small cache: `python -m benchmarks.sharing`.

Two sets of records: ten holes in each of 120 standard-library files, and HumanEval-Infilling
MultiLine if it is available. Each in file order and shuffled, with a KV cache of a tenth and of a
hundredth of all prompt tokens. batchfim with its defaults and with `planning.regroup`, and
`LLM.generate` on the ids as given and sorted, take turns; Ray Data LLM, with its defaults and with
the best of a small grid, starts an engine for every file and runs alone. All get the same prompts,
lengths and engine arguments, and every file starts with an empty prefix cache. Computed tokens are
compared with the minimum that a cache of whole blocks allows (`batchfim.planning.sharing`). The
time of regrouping is reported separately, since most of it is its start here. `--architecture`
replaces the demo model with one of one, three or seven billion random weights, for GPUs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchfim.planning.sharing import tree_tokens
from benchmarks.measuring import keep, machine
from benchmarks.records import Text, encode, multi_line, standard_library, write
from benchmarks.setups import (
    ARCHITECTURES,
    architecture_text,
    demo_encoder,
    demo_setup,
    named,
    not_measured,
)
from benchmarks.sharing_limits import judge
from benchmarks.sharing_peers import PEERS
from benchmarks.sides import BLOCK_SIZE, InProcess, Round

CACHES = {"tenth": 10, "hundredth": 100}
ORDERS = ("file", "shuffled")
SETS = ("standard_library", "multi_line")


@dataclass(frozen=True)
class Files:
    """Files of one set of records, in both orders."""

    paths: dict[str, Path]
    prompt_tokens: int
    bound: int


def main() -> None:
    """Run the benchmark and keep each set's result."""
    options = _options()
    for name in options.sets:
        started = machine()
        records = _records(name, options)
        if isinstance(records, str):
            print(f"{name} is skipped: {records}")
            continue
        cells: dict[str, dict[str, Any]] = {}
        with tempfile.TemporaryDirectory() as place:
            files = _write(Path(place), name, records, options.seed)
            for cache in options.caches:
                for key, cell in _cells(Path(place), files, cache, options):
                    cells[f"cache {cache}, {key}"] = cell
        result = {
            "limits": judge(name, cells),
            "cells": cells,
            "seed": options.seed,
            "model": architecture_text(options.architecture),
            "not_measured": not_measured("tokens Ray Data LLM computes, which it does not report"),
        }
        some = () if len(options.orders) == len(ORDERS) else tuple(options.orders)
        kept = "_".join(("sharing", name, *some))
        keep(f"{kept}{named(options.architecture)}", result, started=started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120, help="number of standard-library files")
    parser.add_argument(
        "--multi-line", type=int, default=None, help="use only this many MultiLine records"
    )
    parser.add_argument("--caches", nargs="+", choices=list(CACHES), default=list(CACHES))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=list(ORDERS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="random weights; for GPUs")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _records(name: str, options: argparse.Namespace) -> list[Text] | str:
    """A set's records, or why they are not available."""
    if name == "standard_library":
        return standard_library(options.seed, options.files)
    records = multi_line()
    return records if isinstance(records, str) else records[: options.multi_line]


def _write(folder: Path, name: str, records: list[Text], seed: int) -> Files:
    prompts = encode(records, demo_encoder())
    places = list(range(len(records)))
    random.Random(seed).shuffle(places)
    return Files(
        {
            "file": write(folder / f"{name}-file.parquet", records, prompts),
            "shuffled": write(
                folder / f"{name}-shuffled.parquet",
                [records[place] for place in places],
                [prompts[place] for place in places],
            ),
        },
        sum(map(len, prompts)),
        tree_tokens([array("I", prompt) for prompt in prompts], BLOCK_SIZE),
    )


def _cells(
    folder: Path, files: Files, cache: str, options: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Figures of each peer in each order; engines of peers that take turns stay up."""
    blocks = files.prompt_tokens // CACHES[cache] // BLOCK_SIZE

    def start(name: str) -> InProcess:
        args = {"num_gpu_blocks_override": blocks}
        setup = demo_setup(folder, options.architecture, args=args, ray=PEERS[name].ray)
        return InProcess(PEERS[name].side, setup)

    in_turns = [name for name in options.peers if PEERS[name].takes_turns]
    rounds: dict[str, list[Round]] = {}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(start(name)) for name in in_turns}
        for _ in range(options.rounds):
            for order in options.orders:
                for name, side in sides.items():
                    done = side.work(files.paths[order])
                    rounds.setdefault(f"{order}, {name}", []).append(done)
                    print(f"{name}, {order}, {cache}:", done.figures(), flush=True)
    for name in (name for name in options.peers if name not in in_turns):
        with start(name) as side:
            done = side.work(files.paths["shuffled"])
            rounds[f"shuffled, {name}"] = [done]
            print(f"{name}, shuffled, {cache}:", done.figures(), flush=True)
    for key, dones in rounds.items():
        yield key, _figures(dones, files.bound) | {"cache_blocks": blocks}


def _figures(rounds: Sequence[Round], bound: int) -> dict[str, Any]:
    """Figures of the median round, with computed tokens of the worst."""
    by_speed = sorted(rounds, key=lambda done: done.records_per_s)
    done = by_speed[len(rounds) // 2]
    figures = done.figures() | {"bound": bound}
    figures["records_per_s_by_round"] = [round(one.records_per_s, 2) for one in rounds]
    computed = [one.prompt_tokens - one.cached_tokens for one in rounds if one.cached_tokens]
    if computed:
        figures["over_bound"] = round(max(computed) / bound, 3)
    return figures


if __name__ == "__main__":
    main()
