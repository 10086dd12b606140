"""What vLLM is started with: its defaults for infilling in bulk, and the checks before a start."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from batchfim.config_engine import Engine as EngineConfig
from batchfim.engines.cpu import config_of_model, dtype_argument, executor_argument
from batchfim.errors import ConfigError, EngineStartError
from batchfim.storage.adapter_files import Adapter

_GIB = 1 << 30
# The prefix cache shares whole blocks only, and vLLM's CPU default of 128 tokens is longer than
# many prompts: 32, the smallest that works there, took the hit rate from 56 % to 75 % and the
# throughput up 1.4 times (HumanEval-Infilling MultiLine, 4M-parameter Llama, two cores).
_CPU_DEFAULTS = {"block_size": 32, "max_num_seqs": 128, "kv_cache_memory_bytes": _GIB}
# Chunked prefill is left to vLLM, which has it on wherever the model can. So are `max_num_seqs` and
# `max_num_batched_tokens` on GPUs, where the usage context decides (`VllmEngine`).
_DEFAULTS = {
    "enable_prefix_caching": True,
    "generation_config": "vllm",  # the model's own sampling defaults must not leak in
    "skip_tokenizer_init": True,  # ids in, ids out
    "disable_log_stats": False,  # timings and cached tokens come with the statistics
    "use_tqdm_on_load": False,
}
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # `vllm/config/lora.py`, MaxLoRARanks
_LORAS_AT_ONCE = 8  # in one batch: each takes memory on the device, whether used or not


def cache_block_tokens(args: Mapping[str, Any], *, on_gpu: bool) -> int | None:
    """Tokens of a block of the prefix cache that vLLM will have; None: it has none."""
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
    adapters: Collection[Adapter] = (),
    num_nodes: int = 1,
) -> dict[str, Any]:
    """vLLM's engine arguments: ours for bulk, then what the job says, which wins.

    Args:
        model: folder with config and weights.
        config: the engine's section.
        device: vLLM's name of it (`cpu`, `cuda`).
        max_model_len: context in tokens; None: the model's.
        trust_remote_code: let the model run its own Python code.
        adapters: those that requests may name.
        num_nodes: Ray nodes that the model lies on.
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
        arguments["enable_prefix_caching"] = False  # with it, vLLM 0.32's core dies there
    if config.kv_cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(config.kv_cache_gib * _GIB)
    if device == "cpu" and shutil.which("g++") is None:
        arguments["enforce_eager"] = True  # nothing here can compile what vLLM would write
    if num_nodes > 1:
        arguments["distributed_executor_backend"] = "ray"
    arguments |= config.args
    if device == "cpu" and adapters:
        # There, requests without an adapter get the last slot's when batched with others (vLLM
        # 0.32; https://github.com/vllm-project/vllm/pull/48421): one slot more stays empty.
        arguments["max_loras"] = arguments["max_cpu_loras"] = len(adapters) + 1
    return arguments


def _has_mamba_layers(model: Path) -> bool:
    """Whether the model is of Mamba layers, some or all (Granite 4, Falcon-H1)."""
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


def check_names(names: Iterable[str]) -> None:
    """Refuse engine arguments that the vLLM of this environment does not have.

    Raises:
        ConfigError: an unknown name, with the nearest known one.
    """
    known = _known_names()
    for name in names:
        if known and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"engine.args.{name}: this vLLM has no such argument{hint}")


def _known_names() -> list[str]:
    """Read from vLLM's source, in a tenth of a second: importing it takes several.

    Empty where there is no vLLM, or one that keeps them elsewhere: then its own start says it.
    """
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        return []
    source = Path(spec.origin).parent / "engine" / "arg_utils.py"
    if not source.is_file():
        return []
    return [
        statement.target.id
        for node in ast.parse(source.read_text(encoding="utf8")).body
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]


def check_memory(arguments: Mapping[str, Any]) -> None:
    """Before a model is loaded on CPU: the core would say it half a minute later, in its log.

    Raises:
        EngineStartError: the KV cache is larger than the memory that is free.
    """
    wanted, available = arguments["kv_cache_memory_bytes"], psutil.virtual_memory().available
    if wanted > available:
        raise EngineStartError(
            f"too little memory: the KV cache is to have {wanted / _GIB:.1f} GiB and "
            f"{available / _GIB:.1f} GiB are free; lower engine.kv_cache_gib or the number of "
            "workers on a machine"
        )


def set_environment() -> None:
    """Set before vLLM is imported: only errors reach the log, and no engine needs `nvcc`.

    vLLM has FlashInfer's sampler and DeepGEMM compile kernels at an engine's start, and does not
    start where they cannot. That sampler takes no part here: every draw is greedy or has a seed
    (`vllm/v1/worker/gpu/sample/sampler.py`); in DeepGEMM's place CUTLASS is taken.
    """
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    home = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")
    if shutil.which("nvcc") is None and not (home / "bin" / "nvcc").exists():
        os.environ.setdefault("VLLM_USE_DEEP_GEMM", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
