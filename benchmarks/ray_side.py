"""Ray Data LLM: its vLLM processor on the same ids, with its defaults or tuned.

The chat template and tokenizer stages are off, since prompts are ids; the rest is set by
`Setup.ray`. Every file is a pipeline with its own engine, so time runs from the first request's
entry into the engine, by the engine's clock, to the last row: starts of actors and engines do not
count.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from benchmarks.setups import on_gpu
from benchmarks.sides import Round, Setup


class RaySide:
    """Ray Data LLM on a separate Ray instance on this machine."""

    def __init__(self, setup: Setup) -> None:
        """Start Ray; each file starts its own engine."""
        import ray

        # More CPUs than exist: each stage's actor reserves one, and none should wait for another.
        ray.init(address="local", num_cpus=8, include_dashboard=False, logging_level="ERROR")
        self._ray: Any = ray
        self._setup = setup

    def work(self, path: Path) -> Round:
        """Read the ids, generate, detokenize, and collect every row in this process."""
        data = self._ray.data.read_parquet(str(path), columns=["id", "token_ids"])
        num_rows = num_prompt = num_output = 0
        first_s, last_s = math.inf, 0.0
        for row in self._processor()(data).iter_rows():
            last_s = time.monotonic()
            first_s = min(first_s, row["queued_s"])
            num_rows += 1
            num_prompt += row["prompt_tokens"]
            num_output += row["output_tokens"]
        return Round(last_s - first_s, num_rows, num_prompt, None, num_output)

    def close(self) -> None:
        """End Ray."""
        self._ray.shutdown()

    def _processor(self) -> Any:
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        setup = self._setup
        arguments = {k: v for k, v in setup.engine_args.items() if k != "model"}
        config = vLLMEngineProcessorConfig(
            model_source=setup.model,
            engine_kwargs=arguments,
            chat_template_stage=False,
            tokenize_stage=False,
            # The default requests a GPU even on CPU.
            placement_group_config={"bundles": [{"CPU": 1, **({"GPU": 1} if on_gpu() else {})}]},
            **setup.ray,
        )
        sampling = {
            "max_tokens": setup.max_tokens,
            "temperature": 0.0,
            "stop_token_ids": list(setup.stop_token_ids),
            "detokenize": False,
        }

        def ask(row: dict[str, Any]) -> dict[str, Any]:
            return {
                "id": row["id"],
                "tokenized_prompt": row["token_ids"],
                "sampling_params": sampling,
            }

        return build_processor(config, preprocess=ask, postprocess=_reported)


def _reported(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "text": row["generated_text"],
        "queued_s": row["metrics"]["queued_ts"],
        "prompt_tokens": row["num_input_tokens"],
        "output_tokens": row["num_generated_tokens"],
    }
