"""Compare batchfim with the bare engine: `python -m benchmarks.overhead`.

batchfim's worker reads texts from Parquet, encodes, orders, generates, finishes and writes them.
`LLM.generate` gets the same prompts as lists of ids and returns ids, which is the bare engine; and
it gets them as texts, from Parquet to Parquet, as in a script, so that all do the same work. Each
has one engine with the same arguments, started before the clock, and they take turns on files that
no round sees twice and whose prompts share no cache block. A CPU engine's own speed varies by a
third within a minute, so rounds are short and many, and the result is the median of their ratios,
reported with a 95 % interval. Every round includes the start and end of a file: batchfim reads and
encodes its first shard before the engine has anything to do.

On CPU the engine uses all cores, so any work of a front end takes the engine's time. With
`--reserve-core` the engine has the first core and all front ends have the others, as with a GPU.
`--architecture` replaces the demo model with one of one, three or seven billion random weights, for
GPUs.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.bare_side import BareSide, TextSide
from benchmarks.house_side import HouseSide
from benchmarks.measuring import at_least, keep, machine
from benchmarks.records import encode, unshared, write
from benchmarks.setups import (
    ARCHITECTURES,
    architecture_text,
    demo_encoder,
    demo_setup,
    named,
    not_measured,
)
from benchmarks.sides import InProcess, Round, Setup, Side

LIMITS = {"llm_generate": 0.97, "llm_generate_on_texts": 1.0}
_SIDES: dict[str, Callable[[Setup], Side]] = {
    "batchfim": HouseSide,
    "llm_generate": BareSide,
    "llm_generate_on_texts": TextSide,
}
_RESAMPLES = 2000
Rounds = dict[str, list[Round]]  # by side


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=600, help="records per round")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="random weights; for GPUs")
    parser.add_argument("--reserve-core", action="store_true", help="the engine has one core")
    options = parser.parse_args()
    args = {}
    if options.reserve_core:
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "0"
        args["distributed_executor_backend"] = "mp"  # binding threads needs a separate process
    started = machine()
    with tempfile.TemporaryDirectory() as folder:
        setup = demo_setup(Path(folder), options.architecture, args=args)
        rounds = _measure(setup, options.records, options.rounds, options.seed)
    result = _result(rounds, setup, options.seed) | {
        "model": architecture_text(options.architecture)
    }
    name = "overhead_reserved_core" if options.reserve_core else "overhead"
    keep(f"{name}{named(options.architecture)}", result, started=started)


def _measure(setup: Setup, num_records: int, num_rounds: int, seed: int) -> Rounds:
    rounds: Rounds = {name: [] for name in _SIDES}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(InProcess(s, setup)) for name, s in _SIDES.items()}
        for side in sides.values():
            side.work(_file(setup, num_records, seed + num_rounds))
        for number in range(num_rounds):
            path = _file(setup, num_records, seed + number)
            first = number % len(sides)
            for name in [*sides, *sides][first : first + len(sides)]:
                rounds[name].append(sides[name].work(path))
    return rounds


def _file(setup: Setup, num_records: int, seed: int) -> Path:
    records = unshared(num_records, seed)
    return write(setup.folder / "round.parquet", records, encode(records, demo_encoder()))


def _result(rounds: Rounds, setup: Setup, seed: int) -> dict[str, Any]:
    ratios = {peer: _ratios(rounds, peer) for peer in LIMITS}
    return {
        "records_per_s_over": {
            peer: at_least(limit, statistics.median(ratios[peer]))
            | {"interval": _interval(ratios[peer], seed)}
            for peer, limit in LIMITS.items()
        },
        "ratios": {peer: [round(ratio, 3) for ratio in of] for peer, of in ratios.items()},
        "median_round": {name: _median(of).figures() for name, of in rounds.items()},
        "num_rounds": len(rounds["batchfim"]),
        "engine_args": setup.args,
        "seed": seed,
        "not_measured": not_measured("engine start; the driver's commit of parts; Ray"),
    }


def _ratios(rounds: Rounds, peer: str) -> list[float]:
    """Ratios of batchfim's speed to a peer's, round by round."""
    pairs = zip(rounds["batchfim"], rounds[peer], strict=True)
    return [ours.records_per_s / theirs.records_per_s for ours, theirs in pairs]


def _interval(ratios: list[float], seed: int) -> list[float]:
    """Interval with 95 % of the medians of resampled rounds."""
    rng = random.Random(seed)
    draws = (rng.choices(ratios, k=len(ratios)) for _ in range(_RESAMPLES))
    cuts = statistics.quantiles((statistics.median(draw) for draw in draws), n=40)
    return [round(cuts[0], 3), round(cuts[-1], 3)]


def _median(rounds: list[Round]) -> Round:
    return sorted(rounds, key=lambda one: one.records_per_s)[len(rounds) // 2]


if __name__ == "__main__":
    main()
