"""The model folder of each family: its tokenizer's kind, its sentinels, its tiny architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from batchfim.formats.catalog import CATALOG
from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.tiny import tiny_family_json
from tests.tiny_models import (
    CONTEXT,
    GPT_SIZES,
    LLAMA_SIZES,
    TINY_MODELS,
    at_context,
    write_weights,
)

_HEAD = {"head_dim": 32}
_EXPERTS = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}
_GROUPS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
_MAMBA = {"mamba_d_head": 32, "mamba_d_state": 16, "mamba_n_groups": 1}
_LATENT = {  # no other size of latent attention is served on CPU
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
}
_GRANITE_4 = {
    "layer_types": ["mamba", "attention"],
    "shared_intermediate_size": 64,
    "num_local_experts": 0,
    "mamba_n_heads": 4,
}

# Architectures of transformers to what their configs need.
_SIZES: dict[str, dict[str, Any]] = {
    "GPTBigCode": GPT_SIZES,
    "Starcoder2": LLAMA_SIZES | {"sliding_window": 16},
    "Llama": LLAMA_SIZES,
    "GPTNeoX": LLAMA_SIZES,
    "Gemma": LLAMA_SIZES | _HEAD,
    "Mistral": LLAMA_SIZES | _HEAD,
    "Granite": LLAMA_SIZES,
    "GraniteMoeHybrid": LLAMA_SIZES | _MAMBA | _GRANITE_4,
    "FalconH1": LLAMA_SIZES | _HEAD | _MAMBA | {"mamba_d_ssm": 64, "mamba_n_heads": 2},
    "StableLm": LLAMA_SIZES,
    "Qwen2": LLAMA_SIZES,
    "Qwen3Moe": LLAMA_SIZES | _HEAD | _EXPERTS | {"num_experts": 4},
    "Mellum": LLAMA_SIZES | _HEAD | _EXPERTS | {"num_experts": 4},
    "Glm4Moe": LLAMA_SIZES | _HEAD | _EXPERTS | _GROUPS,
    "DeepseekV2": LLAMA_SIZES | _EXPERTS | _GROUPS | _LATENT | {"q_lora_rank": None},
    "CodeGen": TINY_MODELS["codegen"].sizes,
    "XGLM": TINY_MODELS["xglm"].sizes,
}


@dataclass(frozen=True)
class TinyFamily:
    """A family on a tiny model.

    Attributes:
        name: of the family.
        architecture: of transformers; `task` names those that are not left-to-right.
        stands_in: why another architecture than the family's own; empty: it is its own.
        own_code: the model is Python code in its folder, as the family's own is.
        uncompared: why transformers is not asked for the same answer; empty: it is.
    """

    name: str
    architecture: str
    stands_in: str = ""
    own_code: bool = False
    uncompared: str = ""
    infill: Mapping[str, int] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return CATALOG[self.name].task

    @property
    def tokenizer(self) -> TextTokenizer:
        return TextTokenizer(tiny_family_json(CATALOG[self.name]))

    @property
    def mask_id(self) -> int | None:
        return self.tokenizer.token_id("<mask>") if "<mask>" in self.tokenizer else None

    def build(self, folder: Path, context: int = CONTEXT) -> Path:
        """Write the model's files; `context` is how many tokens it sees."""
        folder.mkdir(parents=True)
        text = tiny_family_json(CATALOG[self.name])
        (folder / "tokenizer.json").write_text(text, encoding="utf8")
        size = self.tokenizer.vocab_size
        if self.architecture == "ChatGLM":
            _write_chatglm(folder, size)
        elif self.architecture in _SIZES:
            names = f"{self.architecture}Config", f"{self.architecture}ForCausalLM"
            (stop, *_) = CATALOG[self.name].stops  # vLLM ends where the config says so, too
            ends = {"eos_token_id": self.tokenizer.token_id(stop)}
            sizes = at_context(_SIZES[self.architecture], context)
            write_weights(folder, *names, size, sizes | ends)
        else:
            tiny = TINY_MODELS[self.architecture]
            sizes = at_context(tiny.sizes, context)
            write_weights(folder, tiny.config_class, tiny.model_class, size, sizes)
        if self.own_code:
            _add_code(folder)
        return folder


_LATENT_DIFFERS = "with random weights, the two part after a token or two"
_OWN_CODE = "its model is code on the hub, which no test can reach"
_OTHERS = (
    TinyFamily("deepseek-coder-v2", "DeepseekV2", uncompared=_LATENT_DIFFERS),
    TinyFamily("codet5", "codet5"),
    TinyFamily("unixcoder", "unixcoder"),
    TinyFamily("codebert", "codebert", infill={"masks": 3}),
    TinyFamily("plbart", "plbart"),
    TinyFamily("codegeex4", "ChatGLM", uncompared="transformers has no such model"),
    TinyFamily("codeshell", "Llama", stands_in=_OWN_CODE, own_code=True),
    TinyFamily("refact", "Llama", stands_in=_OWN_CODE, own_code=True),
    TinyFamily("decicoder", "Llama", stands_in=_OWN_CODE, own_code=True),
    TinyFamily("plamo-3", "Llama", stands_in="its config is code on the hub"),
)


def _of_catalog(name: str) -> TinyFamily:
    """A family on the first of its architectures that is known here."""
    architectures = [one.removesuffix("ForCausalLM") for one in CATALOG[name].architectures]
    return TinyFamily(name, next(one for one in architectures if one in _SIZES))


_NAMED = {tiny.name: tiny for tiny in _OTHERS}
TINY_FAMILIES = tuple(_NAMED.get(name) or _of_catalog(name) for name in CATALOG)


def _add_code(folder: Path) -> None:
    """Make the model's class one that only its folder has."""
    code = "from transformers import LlamaForCausalLM\n\n\nclass OwnModel(LlamaForCausalLM):\n"
    (folder / "own_model.py").write_text(code + "    pass\n", encoding="utf8")
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    config |= {"architectures": ["OwnModel"]}
    config |= {"auto_map": {"AutoModelForCausalLM": "own_model.OwnModel"}}
    path.write_text(json.dumps(config), encoding="utf8")


def _write_chatglm(folder: Path, vocab_size: int) -> None:
    """Transformers has no such model; the names are those of vLLM's `models/chatglm.py`."""
    width, inner = 64, 128
    config = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "num_layers": 2,
        "padded_vocab_size": vocab_size,
        "hidden_size": width,
        "ffn_hidden_size": inner,
        "kv_channels": width // 2,
        "num_attention_heads": 2,
        "seq_length": CONTEXT,
        "multi_query_attention": True,
        "multi_query_group_num": 1,
        "add_qkv_bias": True,
        "original_rope": True,
        "tie_word_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.embedding.word_embeddings.weight": (vocab_size, width),
        "transformer.encoder.final_layernorm.weight": (width,),
        "transformer.output_layer.weight": (vocab_size, width),
    }
    for layer in range(2):
        shapes |= {
            f"transformer.encoder.layers.{layer}.{name}": shape
            for name, shape in {
                "input_layernorm.weight": (width,),
                "self_attention.query_key_value.weight": (2 * width, width),
                "self_attention.query_key_value.bias": (2 * width,),
                "self_attention.dense.weight": (width, width),
                "post_attention_layernorm.weight": (width,),
                "mlp.dense_h_to_4h.weight": (2 * inner, width),
                "mlp.dense_4h_to_h.weight": (width, inner),
            }.items()
        }
    chance = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(shape, generator=chance) if len(shape) > 1 else torch.ones(shape)
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
