"""The model that ships here, with explicit engine arguments that all sides share.

vLLM's defaults depend on what starts the engine: on CPU, 2,048 batched tokens for its server and
4,096 for `LLM`. Explicit, too, are the dtype, if batchfim's differs from the model's, and the
placement of the model in the core's own process.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from batchfim.engines.cpu import MODEL_IN_CORE, dtype_argument
from batchfim.formats.prompt_encoder import PromptEncoder
from batchfim.models.files import demo_model_path
from batchfim.models.infiller import open_infiller
from batchfim.versions import versions
from benchmarks.house_side import house_config
from benchmarks.measuring import in_process
from benchmarks.sides import BLOCK_SIZE, Setup

_ON_CPU: dict[str, Any] = {
    "block_size": BLOCK_SIZE,
    "max_num_seqs": 128,
    "max_num_batched_tokens": 4096,
    "distributed_executor_backend": MODEL_IN_CORE,
}
# vLLM's defaults for `LLM` on an H100, except that up to four engines share the GPU.
_ON_GPU: dict[str, Any] = {
    "block_size": BLOCK_SIZE,
    "max_num_seqs": 1024,
    "max_num_batched_tokens": 16384,
    "gpu_memory_utilization": 0.2,
}
MAX_TOKENS = 32
# From the `config.json` of bigcode/starcoder2-3b and -7b, plus a similar one with a billion
# weights; the vocabulary is the demo model's.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24}
    | {"num_attention_heads": 16, "num_key_value_heads": 2},
    "3b": {"hidden_size": 3072, "intermediate_size": 12288, "num_hidden_layers": 30}
    | {"num_attention_heads": 24, "num_key_value_heads": 2},
    "7b": {"hidden_size": 4608, "intermediate_size": 18432, "num_hidden_layers": 32}
    | {"num_attention_heads": 36, "num_key_value_heads": 4},
}


def demo_setup(folder: Path, architecture: str | None = None, **changes: Any) -> Setup:
    """The demo model on one engine, or a larger architecture with random weights in its place.

    Args:
        folder: folder for the sides' output and the architecture's files.
        architecture: one of `ARCHITECTURES`; None for the demo model itself.
        changes: fields of `Setup`.
    """
    model = _written(folder, architecture) if architecture else demo_model_path()
    args = dict(_ON_GPU) if on_gpu() else _ON_CPU | dtype_argument(model, {})
    fields = {"max_tokens": MAX_TOKENS, "kv_cache_gib": 4.0 if on_gpu() else 1.0} | changes
    fields["args"] = args | changes.get("args", {})
    return Setup(str(model), folder, demo_encoder().stop_token_ids, **fields)


def on_gpu() -> bool:
    """Whether the installed vLLM is the one for GPUs."""
    return "vllm" in versions()


def architecture_text(architecture: str | None) -> str:
    """Description of the model for a result."""
    return f"starcoder2 of {architecture}, random weights" if architecture else "demo"


def not_measured(what: str) -> str:
    """Description of what a result does not measure."""
    return what if on_gpu() else f"{what}; a GPU"


def named(architecture: str | None) -> str:
    """Ending of the result's name."""
    return ("_gpu" if on_gpu() else "") + (f"_{architecture}" if architecture else "")


def _written(folder: Path, architecture: str) -> Path:
    model = folder / f"starcoder2-{architecture}"
    if not model.exists():
        in_process(_write, model, ARCHITECTURES[architecture])
    return model


def _write(model: Path, sizes: dict[str, Any]) -> None:
    """Write weights as at the start of training; with vLLM's dummies, all tokens are as likely."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    demo = demo_model_path()
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(demo, **sizes)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(model)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(demo / name, model)


def demo_encoder() -> PromptEncoder:
    """The encoder of a job on the demo model."""
    setup = Setup(str(demo_model_path()), Path("none"), (), max_tokens=MAX_TOKENS)
    return open_infiller(house_config(setup, Path("none"), Path("none")), weights=False).encoder
