"""Measure CPU time per record of vLLM's front-end process: `python -m benchmarks.front_end`.

batchfim's worker, from Parquet to Parquet, is compared with `LLM.generate` on ids, each with an
engine core that answers without a model (`core_stub`), so that nothing else uses their CPU core and
CPU time is a fair measure even on a busy machine. Encoding is more than a third of batchfim's
figure; `LLM.generate` neither encodes nor decodes here, and writes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.bare_side import BareSide
from benchmarks.core_stub import install
from benchmarks.house_side import HouseSide
from benchmarks.measuring import keep, machine
from benchmarks.records import encode, unshared, write
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sides import InProcess, Setup


class StubbedHouse(HouseSide):
    """batchfim's worker on the stub."""

    def __init__(self, setup: Setup) -> None:
        install()
        super().__init__(setup)


class StubbedBare(BareSide):
    """`LLM.generate` on the stub."""

    def __init__(self, setup: Setup) -> None:
        install()
        super().__init__(setup)


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=4000)
    options = parser.parse_args()
    started, result = machine(), {}
    with tempfile.TemporaryDirectory() as name:
        setup = demo_setup(Path(name))
        sides: dict[str, tuple[type[HouseSide | BareSide], Setup]] = {
            "batchfim": (StubbedHouse, setup),
            "batchfim_with_stop_checks": (StubbedHouse, _checked(setup)),
            "llm_generate": (StubbedBare, setup),
        }
        files = [_file(setup, options.records // of, of) for of in (4, 1)]
        for who, (side, of_side) in sides.items():
            with InProcess(side, of_side) as process:
                process.work(files[0])  # warm-up
                result[who] = process.work(files[1]).figures()
    us = {who: figures["front_end_cpu_us_per_record"] for who, figures in result.items()}
    keep("front_end", {"cpu_us_per_record": us, "rounds": result}, started=started)


def _checked(setup: Setup) -> Setup:
    """The setup with a stop rule that checks every token and ends hardly any middle."""
    stop = {"infill.stop": ["eot", "suffix_start"]}
    return replace(setup, house=stop)


def _file(setup: Setup, num_records: int, seed: int) -> Path:
    records = unshared(num_records, seed)
    return write(setup.folder / f"{seed}.parquet", records, encode(records, demo_encoder()))


if __name__ == "__main__":
    main()
