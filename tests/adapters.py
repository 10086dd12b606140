"""Random LoRA adapters, written as PEFT writes them; and the model each makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

TARGETS = ("q_proj", "v_proj")
ALPHA = 8


def write_adapter(folder: Path, model: Path, seed: int, rank: int = 4) -> Path:
    """An adapter for a causal model, strong enough to change what it says."""
    folder.mkdir(parents=True)
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, weight in AutoModelForCausalLM.from_pretrained(
        model, dtype="float32"
    ).named_parameters():
        layer = name.removesuffix(".weight")
        if layer.endswith(TARGETS):
            rows, columns = weight.shape
            base = f"base_model.model.{layer}"
            tensors[f"{base}.lora_A.weight"] = 0.2 * torch.randn(rank, columns, generator=chance)
            tensors[f"{base}.lora_B.weight"] = 0.2 * torch.randn(rows, rank, generator=chance)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": ALPHA,
        "target_modules": list(TARGETS),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf8")
    return folder


def merged_model(model: Path, adapter: Path | None) -> Any:
    """The model with the adapter's product added to its weights."""
    merged = AutoModelForCausalLM.from_pretrained(model, dtype="float32").eval()
    if adapter is None:
        return merged
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, weight in merged.named_parameters():
        base = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{base}.lora_A.weight" in tensors:
            down, up = tensors[f"{base}.lora_A.weight"], tensors[f"{base}.lora_B.weight"]
            weight.data += up @ down * (ALPHA / len(down))
    return merged
