"""Arguments and environment of vLLM: defaults for bulk infilling, and checks before a start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import psutil

from batchfim.config.engine import Engine as EngineConfig
from batchfim.engines.cpu import config_of_model, dtype_argument, executor_argument
from batchfim.errors import EngineStartError
from batchfim.models.adapters import Adapter

_GIB = 1 << 30
# The prefix cache shares only whole blocks, and vLLM's CPU default of 128 tokens is longer than
# many prompts. Blocks of 32, the smallest size that works on CPU, raised the hit rate from 56 % to
# 75 % and the throughput 1.4 times (HumanEval-Infilling MultiLine, 4M-parameter Llama, two cores).
_CPU_DEFAULTS = {"block_size": 32, "max_num_seqs": 128, "kv_cache_memory_bytes": _GIB}
# Chunked prefill is left to vLLM, which enables it if the model supports it, except for samples on
# CPU. So are `max_num_seqs` and `max_num_batched_tokens` on GPUs, where the usage context decides
# (`VllmEngine`).
_DEFAULTS = {
    "enable_prefix_caching": True,
    "generation_config": "vllm",  # keeps out the model's own sampling defaults
    "skip_tokenizer_init": True,  # ids in, ids out
    "disable_log_stats": False,  # timings and cached tokens come from the statistics
    "use_tqdm_on_load": False,
}
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # `vllm/config/lora.py`, MaxLoRARanks
_LORAS_AT_ONCE = 8  # in one batch; each slot takes device memory, whether it is used or not


def cache_block_tokens(args: Mapping[str, Any], *, on_gpu: bool) -> int | None:
    """Tokens per block of vLLM's prefix cache; None if it is disabled."""
    if args.get("enable_prefix_caching") is False:
        return None
    default = 16 if on_gpu else _CPU_DEFAULTS["block_size"]
    return int(args.get("block_size") or default)


def engine_arguments(
    model: Path,
    config: EngineConfig,
    device: str,
    *,
    max_model_len: int | None,
    trust_remote_code: bool,
    seeded: bool = False,
    adapters: Collection[Adapter] = (),
    num_nodes: int = 1,
) -> dict[str, Any]:
    """vLLM's engine arguments: defaults for bulk infilling, overridden by the job's own.

    Args:
        model: folder with config and weights.
        config: the config section `engine`.
        device: vLLM's name of the device type (`cpu`, `cuda`).
        max_model_len: context length in tokens; None: the model's own.
        trust_remote_code: allow the model's own Python code to run.
        seeded: whether requests have seeds.
        adapters: LoRA adapters that requests may use.
        num_nodes: Ray nodes that the model is spread over.
    """
    arguments: dict[str, Any] = {
        "model": str(model),
        "trust_remote_code": trust_remote_code,
        "max_model_len": max_model_len,
        **_DEFAULTS,
        **(_CPU_DEFAULTS if device == "cpu" else {}),
        **_lora_arguments(adapters),
    }
    if device == "cpu":
        arguments |= dtype_argument(model, config.args) | executor_argument(config.num_devices)
    if device == "cpu" and _has_mamba_layers(model):
        arguments["enable_prefix_caching"] = False  # with it, vLLM 0.32's core dies on CPU
    if device == "cpu" and seeded:
        # With it, vLLM 0.32's core dies on CPU once it cuts a prompt with a seed to fit a step: it
        # rewinds the seed's generator, which PyTorch cannot do on CPU (`_bookkeeping_sync` in
        # `vllm/v1/worker/gpu_model_runner.py`). Without it, vLLM raises its own default of
        # `max_num_batched_tokens` to the longest prompt.
        arguments["enable_chunked_prefill"] = False
    if config.kv_cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(config.kv_cache_gib * _GIB)
    if device == "cpu" and shutil.which("g++") is None:
        arguments["enforce_eager"] = True  # no compiler for the code that vLLM generates
    if num_nodes > 1:
        arguments["distributed_executor_backend"] = "ray"
    arguments |= config.args
    if device == "cpu" and adapters:
        # On CPU, a request without an adapter gets that of the last slot when batched with others
        # (vLLM 0.32; https://github.com/vllm-project/vllm/pull/48421): keep one extra slot empty.
        arguments["max_loras"] = arguments["max_cpu_loras"] = len(adapters) + 1
    return arguments


def _has_mamba_layers(model: Path) -> bool:
    """Whether some or all of the model's layers are Mamba layers (Granite 4, Falcon-H1)."""
    return any(key.startswith("mamba_") for key in config_of_model(model))


def _lora_arguments(adapters: Collection[Adapter]) -> dict[str, Any]:
    if not adapters:
        return {}
    highest = max(adapter.rank for adapter in adapters)
    return {
        "enable_lora": True,
        "max_lora_rank": next((rank for rank in _LORA_RANKS if rank >= highest), highest),
        "max_loras": min(len(adapters), _LORAS_AT_ONCE),
        "max_cpu_loras": len(adapters),
    }


def check_memory(arguments: Mapping[str, Any]) -> None:
    """Check for free memory on CPU; otherwise the core logs the error half a minute later.

    Raises:
        EngineStartError: the KV cache is larger than the free memory.
    """
    wanted, available = arguments["kv_cache_memory_bytes"], psutil.virtual_memory().available
    if wanted > available:
        raise EngineStartError(
            f"too little memory: the KV cache needs {wanted / _GIB:.1f} GiB, but only "
            f"{available / _GIB:.1f} GiB are free; lower engine.kv_cache_gib or the number of "
            "workers on a machine"
        )


def set_environment() -> None:
    """Set the environment before vLLM is imported: log only errors, and do not require `nvcc`.

    At an engine's start, FlashInfer's sampler and DeepGEMM compile kernels, and vLLM fails to start
    if they cannot. That sampler is not used here, as every draw is greedy or seeded
    (`vllm/v1/worker/gpu/sample/sampler.py`); CUTLASS replaces DeepGEMM.
    """
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    home = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")
    if shutil.which("nvcc") is None and not (home / "bin" / "nvcc").exists():
        os.environ.setdefault("VLLM_USE_DEEP_GEMM", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
