"""Batches for each kind of model. Imports torch, so import this module only when needed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch

from batchfim.engines.transformers.decoding import Batch, Tensor

Prompts = Sequence[Sequence[int]]
_COPIES_ITS_INPUT = ("bart", "mbart", "plbart")


def open_batch(task: str, model: Any, prompts: Prompts, mask_id: int | None) -> Batch:
    """Open a batch of the class for the task and the model.

    Args:
        task: one of the values of `Format.task`.
        model: a model of transformers.
        prompts: token ids, one row per prompt.
        mask_id: the token that stands for the hole, if the model has one.
    """
    if task == "masked":
        assert mask_id is not None
        return MaskedBatch(model, prompts, mask_id)
    if task == "causal":
        return CausalBatch(model, prompts)
    if model.config.model_type == "roberta":
        return PrefixBatch(model, prompts)
    copies = model.config.model_type in _COPIES_ITS_INPUT
    return Seq2SeqBatch(model, prompts, mask_id if copies else None)


class CausalBatch:
    """A left-to-right model, padded on the left; positions count a row's own tokens."""

    def __init__(self, model: Any, prompts: Prompts) -> None:
        self.forced: list[list[int]] = [[] for _ in prompts]
        self._model = model
        self._ids, self._mask = _padded(prompts, model.device, side="left")
        self._cache: Any = None
        self._accepted = set(inspect.signature(model.forward).parameters)

    def first(self) -> Tensor:
        return self._forward(self._ids, _positions(self._mask))

    def next(self, token_ids: Tensor) -> Tensor:
        self._mask = _longer(self._mask)
        return self._forward(token_ids[:, None], self._mask.sum(-1, keepdim=True) - 1)

    def keep(self, rows: Tensor) -> None:
        self._mask = self._mask[rows]
        self._cache.batch_select_indices(rows)

    def _forward(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        # Models without position ids (ALiBi) derive positions from the mask.
        optional = {"position_ids": positions, "logits_to_keep": 1}
        output = self._model(
            input_ids=token_ids,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            **{name: value for name, value in optional.items() if name in self._accepted},
        )
        self._cache = output.past_key_values
        return output.logits[:, -1].float()


class PrefixBatch(CausalBatch):
    """UniXcoder: a Roberta with full attention over the prompt, which then decodes left to right.

    As in microsoft/CodeBERT (`UniXcoder/unixcoder.py`, `generate` with `decoder_only=False`), the
    first token comes from the prompt's last position, and the output weights are the input
    embeddings, without Roberta's own head. Its beam search is not supported.
    """

    def _forward(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        seen = self._mask.bool()[:, None, None, :].expand(-1, 1, token_ids.shape[1], -1)
        output = self._model(
            input_ids=token_ids,
            attention_mask=_as_attention(seen, self._model),
            position_ids=positions + first_position(self._model.config),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        embeddings = self._model.get_input_embeddings().weight
        return (output.last_hidden_state[:, -1] @ embeddings.T).float()


class Seq2SeqBatch:
    """An encoder, padded on the right as some count positions from the row's start, and a decoder.

    T5 generates only the middle. Bart and PLBART generate the whole text again, so their decoders
    start with the prompt's tokens before the mask; the middle follows, and then the suffix until a
    stop rule ends it. The decoder's first token is the config's, or else the prompt's last one,
    which is PLBART's language (`shift_tokens_right` in transformers' `modeling_plbart.py`).
    """

    def __init__(self, model: Any, prompts: Prompts, copied_until: int | None) -> None:
        self._model = model
        self._ids, self._mask = _padded(prompts, model.device, side="right")
        begun = [_decoder_start(model, prompt, copied_until) for prompt in prompts]
        shared = min(map(len, begun))
        self.forced = [ids[shared:] for ids in begun]
        self._begun = torch.tensor([ids[:shared] for ids in begun], device=model.device)
        self._cache: Any = None
        self._encoded: Any = None

    def first(self) -> Tensor:
        encoder = self._model.get_encoder()
        self._encoded = encoder(input_ids=self._ids, attention_mask=self._mask)
        return self._forward(self._begun)

    def next(self, token_ids: Tensor) -> Tensor:
        return self._forward(token_ids[:, None])

    def keep(self, rows: Tensor) -> None:
        self._mask = self._mask[rows]
        self._encoded.last_hidden_state = self._encoded.last_hidden_state[rows]
        self._cache.batch_select_indices(rows)

    def _forward(self, token_ids: Tensor) -> Tensor:
        output = self._model(
            encoder_outputs=self._encoded,
            attention_mask=self._mask,
            decoder_input_ids=token_ids,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        return output.logits[:, -1].float()


class MaskedBatch:
    """A masked model, whose masks are filled left to right, each seeing those before it.

    This is the "order-based" filling of Jiang et al. 2020 (X-FACTR, arXiv 2010.06189, section 4);
    filling all masks at once would choose every token without knowing its neighbors.
    """

    def __init__(self, model: Any, prompts: Prompts, mask_id: int) -> None:
        self.forced: list[list[int]] = [[] for _ in prompts]
        self._model = model
        self._ids, self._mask = _padded(prompts, model.device, model.config.pad_token_id, "right")
        self._hole = torch.tensor([p.index(mask_id) for p in prompts], device=model.device)

    def first(self) -> Tensor:
        # Roberta would derive positions from the ids, and not count tokens equal to its padding.
        logits = self._model(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=_positions(self._mask) + first_position(self._model.config),
        ).logits
        return logits[torch.arange(len(self._hole)), self._hole].float()

    def next(self, token_ids: Tensor) -> Tensor:
        self._ids[torch.arange(len(self._hole)), self._hole] = token_ids
        self._hole = self._hole + 1
        return self.first()

    def keep(self, rows: Tensor) -> None:
        self._ids, self._mask, self._hole = self._ids[rows], self._mask[rows], self._hole[rows]


def _padded(
    prompts: Prompts, device: Any, pad_id: int = 0, side: str = "left"
) -> tuple[Tensor, Tensor]:
    """Ids and attention mask of the prompts, padded to the longest."""
    ids = torch.full((len(prompts), max(map(len, prompts))), pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        place = slice(len(prompt)) if side == "right" else slice(-len(prompt), None)
        ids[row, place] = torch.tensor(prompt)
        mask[row, place] = 1
    return ids.to(device), mask.to(device)


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(-1) - 1).clamp(min=0)


def first_position(config: Any) -> int:
    """A model's first position id; Roberta's family counts from the id after its padding."""
    return int(config.pad_token_id) + 1 if "roberta" in config.model_type else 0


def _longer(mask: Tensor) -> Tensor:
    return torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)


def _as_attention(seen: Tensor, model: Any) -> Tensor:
    """A 4-dimensional mask as the attention expects it: transformers passes it on unchanged."""
    if model.config._attn_implementation == "sdpa":
        return seen
    lowest = torch.finfo(model.dtype).min
    return torch.zeros_like(seen, dtype=model.dtype).masked_fill(~seen, lowest)


def _decoder_start(model: Any, prompt: Sequence[int], copied_until: int | None) -> list[int]:
    start = model.config.decoder_start_token_id
    begun = [prompt[-1] if start is None else start]
    if copied_until is None:
        return begun
    return [*begun, *takewhile(lambda token_id: token_id != copied_until, prompt)]
