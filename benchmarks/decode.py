"""Measure how many of the decoded tokens a middle needs: `python -m benchmarks.decode`.

Line holes in the standard library, cut as by `prepare code --kind line` (the newline stays in the
suffix) and as in HumanEval-Infilling SingleLine (the newline is in the middle), with `stop: [eot]`
and with `stop: [eot, line]`. Kept tokens are those that the middle's text needs; generated tokens
are those that its row counts, including the token that ended it; decoded tokens are all that the
engine core computed, including those between a stop rule's end of the middle and its arrival at the
core.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchfim.prepare.holes import Kind, cut
from benchmarks.house_side import HouseSide
from benchmarks.measuring import at_least, keep, machine
from benchmarks.records import Text, encode, sources, write
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sides import InProcess, Round, Setup

LIMIT = 0.95
_MAX_TOKENS = 64
_MOST_CHARACTERS = 1200  # per side, so that no prompt is truncated
_STOPS = {"eot": ["eot"], "eot, line": ["eot", "line"]}


class CountingSide(HouseSide):
    """Counts the core's output tokens, too."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        core = self._engine._stepper._llm.engine_core
        next_outputs, self._num_decoded = core.get_output, 0

        def counted() -> Any:
            outputs = next_outputs()
            self._num_decoded += sum(len(output.new_token_ids) for output in outputs.outputs)
            return outputs

        core.get_output = counted

    def work(self, path: Path) -> Round:
        """Complete a file as `HouseSide.work` does, and count decoded tokens."""
        before = self._num_decoded
        return replace(super().work(path), decoded_tokens=self._num_decoded - before)


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, cells = machine(), {}
    with tempfile.TemporaryDirectory() as name:
        for stop, rules in _STOPS.items():
            setup = demo_setup(Path(name), house={"infill.stop": rules}, max_tokens=_MAX_TOKENS)
            with InProcess(CountingSide, setup) as side:
                for kind, with_newline in (("line", False), ("whole line", True)):
                    records = _holes(options.records, options.seed, with_newline)
                    path = setup.folder / f"{kind}.parquet"
                    write(path, records, encode(records, demo_encoder()))
                    cells[f"{kind}, stop [{stop}]"] = _figures(side.work(path))
    limits = {
        f"{kind}: kept over {of}": at_least(LIMIT, cells[f"{kind}, stop [eot, line]"][f"over_{of}"])
        for kind in ("line", "whole line")
        for of in ("generated", "decoded")
    }
    result = {"limits": limits, "cells": cells, "model": "demo", "seed": options.seed}
    keep("decode", result | {"not_measured": "other models; a GPU"}, started=started)


def _holes(num_records: int, seed: int, with_newline: bool) -> list[Text]:
    rng, texts = random.Random(seed), sources()
    records: list[Text] = []
    while len(records) < num_records:
        text = rng.choice(texts)
        hole = cut(text, Kind.LINE, rng)
        if hole is None or not text.startswith("\n", hole.end):
            continue
        prefix, suffix = text[: hole.start], text[hole.end + with_newline :]
        records.append(Text(prefix[-_MOST_CHARACTERS:], suffix[:_MOST_CHARACTERS]))
    return records


def _figures(done: Round) -> dict[str, Any]:
    assert done.kept_tokens is not None
    assert done.decoded_tokens is not None
    return done.figures() | {
        "over_generated": round(done.kept_tokens / done.output_tokens, 3),
        "over_decoded": round(done.kept_tokens / done.decoded_tokens, 3),
    }


if __name__ == "__main__":
    main()
