"""batchfim beside the bare engine: `python -m benchmarks.overhead`.

batchfim's worker takes texts from Parquet through reading, encoding, ordering, finishing and
writing. `LLM.generate` gets the same prompts as lists of ids and hands ids back, which is the bare
engine; and it gets them as texts, from Parquet to Parquet, as a script would, so that all do the
same work. Each has one engine with the same arguments, started before the clock, and they take
turns on files that no round sees twice and whose prompts share no cache block. Compared is the
steady state: what the large file takes longer than the small one, in seconds a record, which leaves
out how a job begins and ends; the plain ratio on the large file is printed too.

On CPU the engine takes all cores, and whatever a front end works it works in the engine's time.
With `--reserve-core` the engine has the first core and all front ends have the others, as beside a
GPU.
"""

from __future__ import annotations

import argparse
import os
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
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sides import InProcess, Round, Setup, Side

LIMITS = {"llm_generate": 0.97, "llm_generate_on_texts": 1.0}
_LARGE = 3  # times the small file
_SIDES: dict[str, Callable[[Setup], Side]] = {
    "batchfim": HouseSide,
    "llm_generate": BareSide,
    "llm_generate_on_texts": TextSide,
}
Rounds = dict[str, list[tuple[Round, Round]]]  # by side: the small and the large file's


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000, help="of the small file")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reserve-core", action="store_true", help="the engine has one core")
    options = parser.parse_args()
    if options.reserve_core:
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "0"
    started = machine()
    with tempfile.TemporaryDirectory() as folder:
        setup = demo_setup(Path(folder))
        rounds = _measure(setup, options.records, options.rounds, options.seed)
    name = "overhead_reserved_core" if options.reserve_core else "overhead"
    keep(name, _result(rounds, setup, options.seed), started=started)


def _measure(setup: Setup, num_records: int, num_rounds: int, seed: int) -> Rounds:
    rounds: Rounds = {name: [] for name in _SIDES}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(InProcess(s, setup)) for name, s in _SIDES.items()}
        for side in sides.values():
            side.work(_file(setup, num_records // 4, "warm-up", seed - 1))
        for number in range(num_rounds):
            small = _file(setup, num_records, "small", seed + 2 * number)
            large = _file(setup, num_records * _LARGE, "large", seed + 2 * number + 1)
            turn = list(sides) if number % 2 == 0 else list(reversed(sides))
            for name in turn:
                rounds[name].append((sides[name].work(small), sides[name].work(large)))
    return rounds


def _file(setup: Setup, num_records: int, name: str, seed: int) -> Path:
    records = unshared(num_records, seed)
    return write(setup.folder / f"{name}.parquet", records, encode(records, demo_encoder()))


def _result(rounds: Rounds, setup: Setup, seed: int) -> dict[str, Any]:
    slopes = {
        name: [_records_per_s(small, large) for small, large in pairs]
        for name, pairs in rounds.items()
    }
    return {
        "steady_state": {
            peer: at_least(limit, statistics.median(_ratios(slopes, peer)))
            for peer, limit in LIMITS.items()
        },
        "large_file": {
            peer: round(statistics.median(_ratios(_large_files(rounds), peer)), 3)
            for peer in LIMITS
        },
        "steady_state_by_round": {
            peer: [round(ratio, 3) for ratio in _ratios(slopes, peer)] for peer in LIMITS
        },
        "steady_records_per_s": {k: [round(s, 1) for s in v] for k, v in slopes.items()},
        "rounds": {
            name: [{"small": s.figures(), "large": b.figures()} for s, b in pairs]
            for name, pairs in rounds.items()
        },
        "model": "demo",
        "engine_args": setup.args,
        "seed": seed,
        "not_measured": "engine start; the driver's commit of parts; Ray; a GPU",
    }


def _large_files(rounds: Rounds) -> dict[str, list[float]]:
    return {name: [large.records_per_s for _, large in pairs] for name, pairs in rounds.items()}


def _ratios(speeds: dict[str, list[float]], peer: str) -> list[float]:
    """batchfim's speed over a peer's, round by round."""
    return [ours / theirs for ours, theirs in zip(speeds["batchfim"], speeds[peer], strict=True)]


def _records_per_s(small: Round, large: Round) -> float:
    return (large.records - small.records) / (large.seconds - small.seconds)


if __name__ == "__main__":
    main()
