"""The config section `engine`, and which engine arguments affect a record's output."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, JsonValue, model_validator

from batchfim.config.base import Section

# Engine arguments that change how fast records are computed, not their output.
SPEED_ONLY_ENGINE_ARGS = frozenset(
    {
        "async_scheduling",
        "block_size",
        "disable_custom_all_reduce",
        "distributed_executor_backend",
        "enable_chunked_prefill",
        "enable_prefix_caching",
        "enforce_eager",
        "gpu_memory_utilization",
        "max_batch_tokens",
        "max_cpu_loras",
        "max_loras",
        "max_num_batched_tokens",
        "max_num_seqs",
        "max_padding",
        "pipeline_parallel_size",
        "prefill_context_parallel_size",
        "safetensors_load_strategy",
        "tensor_parallel_size",
    }
)


# Engine arguments that have their own setting, or whose value the engine's adapter relies on.
OWNED_ENGINE_ARGS = {
    "disable_log_stats": "the timings of each record come from vLLM's statistics",
    "enable_lora": "use model.lora",
    "generation_config": "sampling is set in the section sampling",
    "kv_cache_memory_bytes": "use engine.kv_cache_gib",
    "max_model_len": "use engine.max_model_len",
    "model": "use model.path",
    "revision": "use model.revision",
    "skip_tokenizer_init": "prompts are encoded outside the engine",
    "tokenizer": "use model.path",
    "trust_remote_code": "use model.trust_remote_code",
}


class Simulated(Section):
    """The simulated engine: modeled times, deterministic text, failures on demand."""

    prefill_tokens_per_s: float = Field(1e6, gt=0)
    decode_tokens_per_s: float = Field(1e5, gt=0)
    start_s: float = Field(0.0, ge=0, description="Modeled seconds of an engine start.")
    max_num_seqs: int = Field(64, gt=0, description="Requests processed at the same time.")
    refuse_if_contains: str | None = Field(None, description="Refuse prompts with this text.")
    fail_if_contains: str | None = Field(None, description="Fail on prompts with this text.")
    die_if_contains: str | None = Field(None, description="Die on prompts with this text.")
    hang_if_contains: str | None = Field(
        None, description="Hang on a prompt with this text, and on every later one."
    )
    kill_if_contains: str | None = Field(
        None, description="Kill the engine's whole process on prompts with this text."
    )
    fail_start: bool = Field(False, description="Fail every engine start.")


class Engine(Section):
    """The engine that generates the middles."""

    backend: Literal["auto", "vllm", "transformers", "simulated"] = Field(
        "auto",
        description="Engine to use; `auto`: vLLM, or Transformers for families that vLLM does not "
        "support.",
    )
    kv_cache_gib: float | None = Field(
        None,
        gt=0,
        description="KV cache per engine in GiB; unset: 1 GiB on CPU, vLLM's choice on GPU.",
    )
    max_model_len: int | None = Field(
        None, gt=0, description="Context length in tokens; unset: the model's own."
    )
    args: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Any other vLLM engine argument, passed through to vLLM; for Transformers: "
        "dtype, attn_implementation, max_batch_tokens, max_padding.",
    )
    simulated: Simulated = Simulated()

    @model_validator(mode="after")
    def _one_place_for_each_setting(self) -> Engine:
        for name, instead in OWNED_ENGINE_ARGS.items():
            if name in self.args:
                raise ValueError(f"args.{name} is not allowed here: {instead}")
        return self

    @model_validator(mode="after")
    def _workers_are_the_replicas(self) -> Engine:
        if self.args.get("data_parallel_size", 1) != 1:
            raise ValueError(
                "args.data_parallel_size is not allowed here: each worker is a replica of the "
                "model; use schedule.workers"
            )
        return self

    @property
    def num_devices(self) -> int:
        """Number of devices that vLLM shards the model over."""
        sizes = (
            "tensor_parallel_size",
            "pipeline_parallel_size",
            "prefill_context_parallel_size",
        )
        given = [self.args.get(name) for name in sizes]
        return math.prod([size for size in given if isinstance(size, int)])
