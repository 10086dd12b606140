"""Measure speculative decoding for infilling: `python -m benchmarks.speculative`.

The same records are completed, greedily, without it, with n-grams of the prompt, and with suffix
trees (which need the package arctic-inference). Each turn starts its own process and engine, warms
it up, and measures from the first prompt to the last middle; the methods take turns, and the
fastest turn of each counts.
`accepted` are drafted tokens that the model would have chosen itself.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.demo.demo import make_records
from batchfim.engines.build import build_engine
from batchfim.engines.engine import Request
from batchfim.models.infiller import open_infiller
from benchmarks.measuring import keep, machine
from benchmarks.records import Text, encode

_METHODS: dict[str, dict[str, Any] | None] = {
    "off": None,
    "ngram": {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4},
    "suffix": {"method": "suffix", "num_speculative_tokens": 16},
}
_WARM_UP = 16


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    started = machine()
    methods = [name for name in _METHODS if name != "suffix" or _has_suffix_trees()]
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records"
        make_records(Path(folder) / "sources.parquet", records)
        rows = ds.dataset(records).head(options.records).to_pylist()
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    for _ in range(options.rounds):
        for name in methods:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                turns[name].append(process.submit(_turn, _job(name, options), rows).result())
            print(name, json.dumps(turns[name][-1]), flush=True)
    best = {name: max(of, key=lambda turn: turn["records_per_s"]) for name, of in turns.items()}
    result = {
        "model": options.model,
        "records": len(rows),
        "methods": best,
        "over_off": {
            name: round(of["records_per_s"] / best["off"]["records_per_s"], 3)
            for name, of in best.items()
        },
        "not_measured": "other models; a GPU",
    }
    keep("speculative", result, started=started)


def _has_suffix_trees() -> bool:
    return importlib.util.find_spec("arctic_inference") is not None


def _job(method: str, options: argparse.Namespace) -> JobConfig:
    flags = {
        "input.paths": ["unused"],
        "output.path": "unused",
        "model.path": options.model,
        "engine.max_model_len": 512,
        "engine.args.speculative_config": _METHODS[method],
        "sampling.max_tokens": options.max_tokens,
    }
    return load_config(None, flags)


def _turn(job: JobConfig, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return asyncio.run(_completed(job, rows))


async def _completed(job: JobConfig, rows: list[dict[str, Any]]) -> dict[str, Any]:
    infiller = open_infiller(job, weights=True)
    engine = build_engine(job, infiller)
    prompts = encode([Text(r["prefix"], r["suffix"]) for r in rows], infiller.encoder)
    requests = [Request(str(i), token_ids, 0) for i, token_ids in enumerate(prompts)]
    info = await engine.start()
    try:
        warm = [Request(f"w{i}", r.token_ids[::-1], 0) for i, r in enumerate(requests[:_WARM_UP])]
        await asyncio.gather(*map(engine.generate, warm))
        engine.take_drafts()
        started_s = time.monotonic()
        samples = await asyncio.gather(*map(engine.generate, requests))
        took_s = time.monotonic() - started_s
    finally:
        await engine.stop()
    drafts = engine.take_drafts()
    drafted, accepted = drafts.drafted_tokens, drafts.accepted_tokens
    return {
        "records_per_s": len(rows) / took_s,
        "completion_tokens": sum(len(sample.token_ids) for (sample,) in samples),
        "drafted_tokens": drafted,
        "accepted_tokens": accepted,
        "accepted_share": accepted / drafted if drafted else None,
        "device": info.device,
        "vllm": info.version,
    }


if __name__ == "__main__":
    main()
