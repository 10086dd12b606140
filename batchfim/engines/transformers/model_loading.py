"""Load a model. Imports transformers, so import this module only when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from batchfim.engines.transformers.args import TransformersArgs
from batchfim.engines.transformers.model_batches import first_position
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
    """Load a model of a kind (`Format.task`), ready for inference.

    Raises:
        EngineStartError: the folder lacks some of the model's weights, or the model has fewer
            positions than `max_model_len`.
        others: whatever transformers raises for a bad folder, bad weights or too little memory.
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
    if found["missing_keys"]:  # transformers would use random numbers in their place
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise EngineStartError(
            f"the weights in {folder} lack {len(found['missing_keys'])} of the model's tensors "
            f"({missing}, …); check that they belong to config.json, and that the family is right"
        )
    return model.to(device).eval()


def layers(model: Any) -> list[Any]:
    """A model's layers, which transformers keeps in `ModuleList`s."""
    lists = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]
    return [layer for one in lists for layer in one]


def _model_class(kind: str, config: Any) -> tuple[Any, dict[str, Any]]:
    """The model class of a kind, and its arguments besides the config."""
    if kind == "seq2seq" and config.model_type == "roberta":  # UniXcoder: see PrefixBatch
        config.is_decoder = True
        return transformers.RobertaModel, {"add_pooling_layer": False}
    if kind == "causal" and hasattr(config, "is_decoder"):
        config.is_decoder = True  # otherwise Roberta and similar models see later tokens
    classes = {
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
        "masked": transformers.AutoModelForMaskedLM,
    }
    return classes[kind], {}


def _check_positions(config: Any, max_model_len: int | None) -> None:
    """Check `max_model_len` now, as on CUDA a position out of range would kill the engine."""
    positions = getattr(config, "max_position_embeddings", None)
    if max_model_len is None or positions is None:
        return
    usable = positions - first_position(config)
    if max_model_len > usable:
        raise EngineStartError(
            f"engine.max_model_len {max_model_len}: the model has only {usable} positions; lower it"
        )
