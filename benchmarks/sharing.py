"""Prompts that share prefixes, with a small cache: `python -m benchmarks.sharing`.

Two sets: ten holes in each of 120 standard-library files, and HumanEval-Infilling MultiLine where
it is at hand. Each in file order and shuffled, with a KV cache of a tenth and of a hundredth of all
prompt tokens. batchfim with its default shards, and with the whole set in one shard, beside
`LLM.generate` on the ids as given and sorted, and Ray Data LLM with its defaults and with the best
of a small grid. All get the same prompts, lengths and engine arguments, and every file starts with
an empty prefix cache. Tokens computed are compared with the fewest that a cache of whole blocks
allows (`batchfim.planning.sharing`).
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchfim.planning.sharing import tree_tokens
from benchmarks.measuring import keep, machine
from benchmarks.records import Text, encode, multi_line, standard_library, write
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sharing_limits import judge
from benchmarks.sharing_peers import PEERS
from benchmarks.sides import BLOCK_SIZE, InProcess, Round

CACHES = {"tenth": 10, "hundredth": 100}
ORDERS = ("file", "shuffled")
SETS = ("standard_library", "multi_line")


@dataclass(frozen=True)
class Files:
    """One set of records in both orders."""

    paths: dict[str, Path]
    prompt_tokens: int
    bound: int


def main() -> None:
    """Run the benchmark and keep its result."""
    options = _options()
    started = machine()
    sets = _sets(options)
    skipped = {name: records for name, records in sets.items() if isinstance(records, str)}
    cells: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, records in sets.items():
            if isinstance(records, str):
                continue
            files = _write(folder, name, records, options.seed)
            for cache in options.caches:
                for key, cell in _cells(folder, files, cache, options.peers):
                    cells[f"{name}, cache {cache}, {key}"] = cell
    result = {
        "limits": judge(cells),
        "cells": cells,
        "skipped": skipped,
        "seed": options.seed,
        "model": "demo",
        "not_measured": "batchfim.planning.regroup, which does not exist yet: `one_shard` shows "
        "what one worker's order reaches; tokens Ray Data LLM computes, which it does not tell; "
        "a GPU",
    }
    keep("sharing", result, started=started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120, help="of the standard library")
    parser.add_argument("--multi-line", type=int, default=None, help="only its first records")
    parser.add_argument("--caches", nargs="+", choices=list(CACHES), default=list(CACHES))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _sets(options: argparse.Namespace) -> dict[str, list[Text] | str]:
    """The sets asked for, each with its records or why they are not there."""
    found: dict[str, list[Text] | str] = {}
    if "standard_library" in options.sets:
        found["standard_library"] = standard_library(options.seed, options.files)
    if "multi_line" in options.sets:
        records = multi_line()
        found["multi_line"] = records if isinstance(records, str) else records[: options.multi_line]
    return found


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
        tree_tokens(prompts, BLOCK_SIZE),
    )


def _cells(
    folder: Path, files: Files, cache: str, peers: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each peer's two orders on one engine, one peer after the other."""
    blocks = files.prompt_tokens // CACHES[cache] // BLOCK_SIZE
    for name in peers:
        peer = PEERS[name]
        setup = demo_setup(
            folder,
            args={"num_gpu_blocks_override": blocks},
            house=peer.house,
            ray=peer.ray,
        )
        with InProcess(peer.side, setup) as side:
            for order in ORDERS:
                done = side.work(files.paths[order])
                print(f"{name}, {order}, {cache}:", done.figures(), flush=True)
                yield f"{order}, {name}", _figures(done, files.bound) | {"cache_blocks": blocks}


def _figures(done: Round, bound: int) -> dict[str, Any]:
    figures = done.figures() | {"bound": bound}
    if done.cached_tokens is not None:
        figures["over_bound"] = round((done.prompt_tokens - done.cached_tokens) / bound, 3)
    return figures


if __name__ == "__main__":
    main()
