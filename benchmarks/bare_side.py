"""vLLM's own offline call: `LLM.generate` on ids, final outputs only, without detokenization."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sides import Cpu, Round, Setup

_PSM = "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"


class BareSide:
    """`LLM.generate` on records in the given order."""

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
        """Complete a file; sorting the ids is timed, reading them is not."""
        ids = pq.read_table(path, columns=["token_ids"])["token_ids"].to_pylist()
        self._llm.reset_prefix_cache()
        cpu, started_s = Cpu.now(), time.perf_counter()
        if self.sorts:
            ids.sort()
        prompts = [{"prompt_token_ids": one} for one in ids]
        outputs = self._llm.generate(prompts, self._params, use_tqdm=False)
        return _round(outputs, time.perf_counter() - started_s, cpu.since())

    def close(self) -> None:
        """Delete the object, with which vLLM ends its engine core."""
        del self._llm


class SortedSide(BareSide):
    """`LLM.generate` on all records sorted by their ids, as a careful user of vLLM would do."""

    sorts = True


class TextSide(BareSide):
    """`LLM.generate` from Parquet to Parquet: vLLM encodes the prompts and decodes the middles.

    This is what a script around `LLM.generate` does. The texts contain no control tokens, so its
    prompts equal those of the other sides.
    """

    def __init__(self, setup: Setup) -> None:
        """Start the engine with its tokenizer."""
        from vllm import LLM, SamplingParams

        self._llm = LLM(**setup.engine_args, use_tqdm_on_load=False)
        self._params = SamplingParams(
            max_tokens=setup.max_tokens,
            temperature=0.0,
            stop_token_ids=list(setup.stop_token_ids),
        )

    def work(self, path: Path) -> Round:
        """Complete a file; reading and writing are timed too."""
        self._llm.reset_prefix_cache()
        cpu, started_s = Cpu.now(), time.perf_counter()
        rows = pq.read_table(path, columns=["id", "prefix", "suffix"]).to_pylist()
        prompts = [_PSM.format_map(row) for row in rows]
        outputs = self._llm.generate(prompts, self._params, use_tqdm=False)
        middles = [
            {"id": row["id"], "middle": output.outputs[0].text}
            for row, output in zip(rows, outputs, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(middles), path.with_suffix(".middles"))
        return _round(outputs, time.perf_counter() - started_s, cpu.since())


def _round(outputs: Sequence[Any], seconds: float, cpu: Cpu) -> Round:
    return Round(
        seconds=seconds,
        records=len(outputs),
        prompt_tokens=sum(len(output.prompt_token_ids) for output in outputs),
        cached_tokens=sum(output.num_cached_tokens for output in outputs),
        output_tokens=sum(len(output.outputs[0].token_ids) for output in outputs),
        cpu=cpu,
    )
