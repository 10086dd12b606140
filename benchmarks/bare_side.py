"""vLLM's own offline call: `LLM.generate` on ids, final outputs only, no detokenising."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.sides import Cpu, Round, Setup


class BareSide:
    """Records as they are given."""

    sorts = False

    def __init__(self, setup: Setup) -> None:
        """Start the engine. `LLM.generate` itself asks for final outputs only."""
        from vllm import LLM, SamplingParams

        self._llm: Any = LLM(**setup.engine_args, skip_tokenizer_init=True, use_tqdm_on_load=False)
        self._params = SamplingParams(
            max_tokens=setup.max_tokens,
            temperature=0.0,
            stop_token_ids=list(setup.stop_token_ids),
            detokenize=False,
        )

    def work(self, path: Path) -> Round:
        """Reading the ids is not timed; sorting them is."""
        ids = pq.read_table(path, columns=["token_ids"])["token_ids"].to_pylist()
        self._llm.reset_prefix_cache()
        cpu, started_s = Cpu.now(), time.perf_counter()
        if self.sorts:
            ids.sort()
        prompts = [{"prompt_token_ids": one} for one in ids]
        outputs = self._llm.generate(prompts, self._params, use_tqdm=False)
        return Round(
            seconds=time.perf_counter() - started_s,
            records=len(outputs),
            prompt_tokens=sum(len(output.prompt_token_ids) for output in outputs),
            cached_tokens=sum(output.num_cached_tokens for output in outputs),
            output_tokens=sum(len(output.outputs[0].token_ids) for output in outputs),
            cpu=cpu.since(),
        )

    def close(self) -> None:
        """vLLM ends its core with the object."""
        del self._llm


class SortedSide(BareSide):
    """All records sorted by their ids first: what a careful user of vLLM does."""

    sorts = True
