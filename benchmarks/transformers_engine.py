"""Measure batching in the Transformers engine: `python -m benchmarks.transformers_engine`.

Completes the same prompts (pieces of batchfim's own source of different lengths, greedily, with a
fixed number of tokens each) with the model that ships here, in three ways: with the engine and its
default batches, with the engine and one prompt per batch, and with transformers' own
`model.generate`, one by one. The ratio of the first to the second is the gain by batching; the
ratio of the second to the third compares our decoding loop with transformers' own (limit 1; more
means that ours is faster).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from pathlib import Path
from typing import Any

from batchfim.config import Sampling
from batchfim.engines.engine import Request
from batchfim.engines.transformers.args import read_args
from batchfim.engines.transformers.engine import Task, TransformersEngine
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.models.files import demo_model_path
from benchmarks.measuring import keep, machine


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--longest", type=int, default=384, help="tokens of the longest prompt")
    options = parser.parse_args()
    started = machine()
    prompts = _prompts(options.prompts, options.longest)
    batched, one_by_one = (
        _engine_tokens_per_s(prompts, options.tokens, args)
        for args in ({}, {"max_batch_tokens": 1})
    )
    generate = _generate_tokens_per_s(prompts, options.tokens)
    result = {
        "prompts": len(prompts),
        "prompt_tokens": sum(map(len, prompts)),
        "new_tokens_each": options.tokens,
        "tokens_per_s": {
            "batched": round(batched, 1),
            "one_by_one": round(one_by_one, 1),
            "model_generate": round(generate, 1),
        },
        "batched_over_one_by_one": round(batched / one_by_one, 2),
        "one_by_one_over_model_generate": round(one_by_one / generate, 2),
        "model": "demo",
        **_device(),
    }
    keep("transformers_engine", result, started=started)


def _prompts(number: int, longest: int) -> list[list[int]]:
    folder = demo_model_path()
    tokenizer = TextTokenizer((folder / "tokenizer.json").read_text(encoding="utf8"))
    sources = sorted(Path(__file__).parents[1].glob("batchfim/**/*.py"))
    (ids,) = tokenizer.encode(["".join(path.read_text("utf8") for path in sources)])
    token_ids = list(ids)
    chance = random.Random(0)
    starts = [chance.randrange(len(token_ids) - longest) for _ in range(number)]
    return [token_ids[start : start + chance.randint(16, longest)] for start in starts]


def _engine_tokens_per_s(prompts: list[list[int]], tokens: int, args: dict[str, Any]) -> float:
    sampling = Sampling(max_tokens=tokens)
    engine = TransformersEngine(
        demo_model_path(), Task("causal", ()), read_args(args), sampling, max_model_len=None
    )

    async def run() -> float:
        await engine.start()
        await engine.generate(Request("warm-up", prompts[0], 0))
        started_s = time.perf_counter()
        calls = (engine.generate(Request(str(i), ids, 0)) for i, ids in enumerate(prompts))
        done = await asyncio.gather(*calls)
        took_s = time.perf_counter() - started_s
        await engine.stop()
        return sum(len(one.token_ids) for (one,) in done) / took_s

    return asyncio.run(run())


def _generate_tokens_per_s(prompts: list[list[int]], tokens: int) -> float:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(demo_model_path()).eval()
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}

    def complete(prompt: list[int]) -> None:
        ids = torch.tensor([prompt], device=model.device)
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **options)

    complete(prompts[0])
    started_s = time.perf_counter()
    for prompt in prompts:
        complete(prompt)
    return tokens * len(prompts) / (time.perf_counter() - started_s)


def _device() -> dict[str, Any]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {"threads": torch.get_num_threads(), "device": device}


if __name__ == "__main__":
    main()
