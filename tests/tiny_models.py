"""Tiny random models, one of each architecture, built on the fly: no hub, a second for all.

A model's folder holds what a real one's does: `config.json`, `model.safetensors`, a byte-level
`tokenizer.json` with the family's sentinels in front (ids 0, 1, …), as StarCoder's and Roberta's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTEXT = 160
NUM_MASKS = 12
_WIDTH, _HEADS, _LAYERS = 64, 2, 2  # heads of 32: vLLM's attention on CPU has no smaller
_POSITIONS = ("max_position_embeddings", "n_positions")
_STARCODER = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>")
_ROBERTA = ("<s>", "<pad>", "</s>", "<mask>", "<encoder-decoder>", "<mask0>")
_T5 = ("<pad>", "</s>", "<extra_id_0>", "<extra_id_1>")
_PLBART = ("<s>", "<pad>", "</s>", "<mask>", "__python__")
_INCODER = ("<|endoftext|>", "<|mask:0|>", "<|mask:1|>", "<|endofmask|>")
_CODEGEN = ("<|endoftext|>", "<mask_1>", "<sep>", "<eom>")

_PSM = ("<fim_prefix>", "{prefix}", "<fim_suffix>", "{suffix}", "<fim_middle>")
LLAMA_SIZES = {
    "hidden_size": _WIDTH,
    "intermediate_size": 2 * _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
GPT_SIZES = {"n_embd": _WIDTH, "n_layer": _LAYERS, "n_head": _HEADS, "n_positions": CONTEXT}
_BART_SIZES = {
    "d_model": _WIDTH,
    "encoder_layers": _LAYERS,
    "decoder_layers": _LAYERS,
    "encoder_attention_heads": _HEADS,
    "decoder_attention_heads": _HEADS,
    "encoder_ffn_dim": 2 * _WIDTH,
    "decoder_ffn_dim": 2 * _WIDTH,
    "max_position_embeddings": CONTEXT,
}
_ROBERTA_SIZES = {
    **{key: value for key, value in LLAMA_SIZES.items() if key != "num_key_value_heads"},
    "max_position_embeddings": CONTEXT + 2,
    "pad_token_id": 1,
    "type_vocab_size": 1,
}


@dataclass(frozen=True)
class TinyModel:
    """An architecture, how it is configured, and the format it is asked in."""

    name: str
    config_class: str
    model_class: str
    sizes: dict[str, Any]
    controls: tuple[str, ...]
    layout: tuple[str, ...]
    stop: str
    task: str = "causal"

    @property
    def form(self) -> dict[str, Any]:
        """`infill.format` of a job."""
        return {
            "family": self.name,
            "layouts": {"own": list(self.layout)},
            "order": "own",
            "stops": [self.stop],
            "task": self.task,
            "engine": "transformers",
        }

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return (self.controls.index(self.stop),)

    @property
    def mask_id(self) -> int | None:
        return self.controls.index("<mask>") if "<mask>" in self.layout else None

    def prompt(self, prefix: Sequence[int], suffix: Sequence[int]) -> list[int]:
        """Token ids of a prompt, from the two texts' ids."""
        slots = {"{prefix}": list(prefix), "{suffix}": list(suffix)}
        pieces = (
            slots[piece] if piece in slots else [self.controls.index(piece)]
            for piece in self.layout
        )
        return [token_id for piece in pieces for token_id in piece]

    def build(self, folder: Path) -> Path:
        """Write the model's files; the same every time."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(byte_tokenizer(self.controls), encoding="utf8")
        write_weights(
            folder, self.config_class, self.model_class, len(self.controls) + 256, self.sizes
        )
        return folder


def at_context(sizes: Mapping[str, Any], context: int) -> dict[str, Any]:
    """Sizes of a model that sees so many tokens instead of `CONTEXT`."""
    longer = {name: sizes[name] + context - CONTEXT for name in _POSITIONS if name in sizes}
    return {**sizes, **longer}


def write_weights(
    folder: Path, config_class: str, model_class: str, vocab_size: int, sizes: Mapping[str, Any]
) -> None:
    """Write `config.json` and random weights; the same every time."""
    config = getattr(transformers, config_class)(
        **{
            "vocab_size": vocab_size,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "pad_token_id": None,
            "tie_word_embeddings": False,  # tied, a random model repeats its last token
        }
        | sizes
    )
    torch.manual_seed(0)
    model = getattr(transformers, model_class)(config)
    with torch.no_grad():  # as initialised, tiny models say the same to every prompt
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.7)
    transformers.logging.disable_progress_bar()
    model.save_pretrained(folder)


TINY_MODELS = {
    tiny.name: tiny
    for tiny in (
        TinyModel(
            *("gpt_bigcode", "GPTBigCodeConfig", "GPTBigCodeForCausalLM", GPT_SIZES, _STARCODER),
            *(_PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("starcoder2", "Starcoder2Config", "Starcoder2ForCausalLM"),
            *(LLAMA_SIZES | {"sliding_window": 16}, _STARCODER, _PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("llama", "LlamaConfig", "LlamaForCausalLM", LLAMA_SIZES, _STARCODER),
            *(_PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("gpt_neox", "GPTNeoXConfig", "GPTNeoXForCausalLM"),
            *(LLAMA_SIZES, _STARCODER, _PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("gptj", "GPTJConfig", "GPTJForCausalLM", GPT_SIZES | {"rotary_dim": 4}),
            *(_STARCODER, _PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("gemma", "GemmaConfig", "GemmaForCausalLM", LLAMA_SIZES | {"head_dim": 32}),
            *(_STARCODER, _PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("qwen2", "Qwen2Config", "Qwen2ForCausalLM", LLAMA_SIZES, _STARCODER),
            *(_PSM, "<|endoftext|>"),
        ),
        TinyModel(
            *("codegen", "CodeGenConfig", "CodeGenForCausalLM"),
            GPT_SIZES | {"n_head": 4, "rotary_dim": 4},  # its weights lie in four parts
            _CODEGEN,
            ("{prefix}", "<mask_1>", "{suffix}", "<|endoftext|>", "<sep>", "<mask_1>"),
            "<eom>",
        ),
        TinyModel(
            *("xglm", "XGLMConfig", "XGLMForCausalLM"),
            {
                "d_model": _WIDTH,
                "num_layers": _LAYERS,
                "attention_heads": _HEADS,
                "ffn_dim": 2 * _WIDTH,
                "max_position_embeddings": CONTEXT,
            },
            _INCODER,
            ("<|endoftext|>", "{prefix}", "<|mask:0|>", "{suffix}", "<|mask:1|>", "<|mask:0|>"),
            "<|endofmask|>",
        ),
        TinyModel(
            *("roberta_causal", "RobertaConfig", "RobertaForCausalLM"),
            _ROBERTA_SIZES | {"is_decoder": True},
            _ROBERTA,
            ("<s>", "{prefix}", "<mask>", "{suffix}", "</s>"),
            "</s>",
        ),
        TinyModel(
            *("codet5", "T5Config", "T5ForConditionalGeneration"),
            {
                "d_model": _WIDTH,
                "d_kv": 8,
                "d_ff": 2 * _WIDTH,
                "num_layers": _LAYERS,
                "num_heads": _HEADS,
                "n_positions": CONTEXT,
                "pad_token_id": 0,
                "decoder_start_token_id": 0,
                "eos_token_id": 1,
            },
            _T5,
            ("{prefix}", "<extra_id_0>", "{suffix}", "</s>"),
            *("<extra_id_1>", "seq2seq"),
        ),
        TinyModel(
            *("plbart", "PLBartConfig", "PLBartForConditionalGeneration"),
            _BART_SIZES | {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": None},
            _PLBART,
            ("{prefix}", "<mask>", "{suffix}", "</s>", "__python__"),
            *("</s>", "seq2seq"),
        ),
        TinyModel(
            *("bart", "BartConfig", "BartForConditionalGeneration"),
            _BART_SIZES | {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2},
            _PLBART,
            ("<s>", "{prefix}", "<mask>", "{suffix}", "</s>"),
            *("</s>", "seq2seq"),
        ),
        TinyModel(
            *("unixcoder", "RobertaConfig", "RobertaModel", _ROBERTA_SIZES, _ROBERTA),
            ("<s>", "<encoder-decoder>", "</s>", "{prefix}", "<mask0>", "{suffix}", "</s>"),
            *("</s>", "seq2seq"),
        ),
        TinyModel(
            *("codebert", "RobertaConfig", "RobertaForMaskedLM", _ROBERTA_SIZES, _ROBERTA),
            ("<s>", "{prefix}", *["<mask>"] * NUM_MASKS, "{suffix}", "</s>"),
            *("</s>", "masked"),
        ),
    )
}


def byte_tokenizer(controls: Sequence[str]) -> str:
    """Text of a `tokenizer.json`: the control tokens, then one token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: place for place, text in enumerate([*controls, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in controls])
    return str(tokenizer.to_str())
