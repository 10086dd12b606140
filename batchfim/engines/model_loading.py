"""A model's weights into memory. Imports transformers: import it only once it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from batchfim.engines.model_batches import first_position
from batchfim.engines.transformers_args import TransformersArgs
from batchfim.errors import EngineStartError


def load_model(
    folder: Path,
    kind: str,
    args: TransformersArgs,
    *,
    max_model_len: int | None,
    device: str,
    trust_remote_code: bool,
) -> Any:
    """The model of a kind (`Format.task`), ready to compute.

    Raises:
        EngineStartError: the folder lacks some of the model's weights, or the model has fewer
            positions than are asked for.
        whatever transformers raises for a bad folder, bad weights or too little memory.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    _check_positions(config, max_model_len)
    model_class, more = _model_class(kind, config)
    if args.attn_implementation is not None:
        more["attn_implementation"] = args.attn_implementation
    model, found = model_class.from_pretrained(
        folder,
        config=config,
        dtype=args.dtype,
        trust_remote_code=trust_remote_code,
        output_loading_info=True,
        **more,
    )
    if found["missing_keys"]:  # transformers would go on with random numbers in their place
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise EngineStartError(
            f"the weights in {folder} lack {len(found['missing_keys'])} of the model's tensors "
            f"({missing}, …): is this the model of config.json, and the family right?"
        )
    return model.to(device).eval()


def layers(model: Any) -> list[Any]:
    """What a model computes one after the other: transformers keeps them in lists."""
    lists = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]
    return [layer for one in lists for layer in one]


def _model_class(kind: str, config: Any) -> tuple[Any, dict[str, Any]]:
    """The class of a kind, and what it needs besides its config."""
    if kind == "seq2seq" and config.model_type == "roberta":  # UniXcoder: see PrefixBatch
        config.is_decoder = True
        return transformers.RobertaModel, {"add_pooling_layer": False}
    if kind == "causal" and hasattr(config, "is_decoder"):
        config.is_decoder = True  # else Roberta and its like see what comes later
    classes = {
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
        "masked": transformers.AutoModelForMaskedLM,
    }
    return classes[kind], {}


def _check_positions(config: Any, max_model_len: int | None) -> None:
    """Before the first long prompt: on CUDA, a position too many is the end of the engine."""
    positions = getattr(config, "max_position_embeddings", None)
    if max_model_len is None or positions is None:
        return
    usable = positions - first_position(config)
    if max_model_len > usable:
        raise EngineStartError(
            f"engine.max_model_len {max_model_len}: the model has {usable} positions only"
        )
