"""The network, StarCoder2's in small, and its loss."""

from __future__ import annotations

import torch
from torch.nn import functional
from transformers import Starcoder2Config, Starcoder2ForCausalLM

from batchfim.demo.training.batches import Batch
from batchfim.demo.training.config import ModelShape
from batchfim.demo.training.samples import Sentinels


def build_model(shape: ModelShape, vocab_size: int, marks: Sentinels) -> Starcoder2ForCausalLM:
    """A model with fresh weights; each block starts as the identity, which trains faster.

    Zero residual outputs at the start: https://arxiv.org/abs/2203.03466, appendix D.2.
    """
    config = Starcoder2Config(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        max_position_embeddings=shape.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        sliding_window=None,
        residual_dropout=0.0,
        embedding_dropout=0.0,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=marks.end,
        eos_token_id=marks.end,
        pad_token_id=marks.pad,
    )
    model = Starcoder2ForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.c_proj.weight.zero_()
    return model


def losses(model: Starcoder2ForCausalLM, batch: Batch) -> torch.Tensor:
    """Cross entropy in nats of each of `batch.targets`, shaped like them; matrices in bf16."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch.inputs, use_cache=False).last_hidden_state
        logits = functional.linear(hidden.flatten(0, 1), model.lm_head.weight)
    flat = functional.cross_entropy(logits.float(), batch.targets.flatten(), reduction="none")
    return flat.view_as(batch.targets)
