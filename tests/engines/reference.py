"""What a model says to one prompt alone: by transformers' own `generate` wherever it can."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers


class Asked(Protocol):
    """What is asked: a tiny model, or a family on one."""

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> str: ...

    @property
    def mask_id(self) -> int | None: ...


def reference(
    tiny: Asked, folder: Path, prompt: list[int], num_tokens: int, stops: tuple[int, ...]
) -> list[int]:
    """Greedy ids, the stop token included."""
    with torch.inference_mode():
        if tiny.task == "masked":
            assert tiny.mask_id is not None
            return _masked(folder, prompt, tiny.mask_id, stops)
        if tiny.name == "unixcoder":
            return _unixcoder(folder, prompt, num_tokens, stops)
        return _generated(tiny, folder, prompt, num_tokens, stops)


@cache
def _model(class_name: str, folder: Path, **config: Any) -> Any:
    return getattr(transformers, class_name).from_pretrained(folder, **config).eval()


def _generated(
    tiny: Asked, folder: Path, prompt: list[int], num_tokens: int, stops: tuple[int, ...]
) -> list[int]:
    more, skip = {}, len(prompt)
    if tiny.task == "causal":
        model = _model("AutoModelForCausalLM", folder)
    else:
        model = _model("AutoModelForSeq2SeqLM", folder)
        begun = _decoder_start(tiny, prompt)
        start = {"decoder_start_token_id": begun[0]}
        more, skip = start | {"decoder_input_ids": torch.tensor([begun])}, len(begun)
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=num_tokens,
        do_sample=False,
        eos_token_id=list(stops),
        pad_token_id=0,
        forced_eos_token_id=None,
        **more,
    )
    return output[0, skip:].tolist()


def _decoder_start(tiny: Asked, prompt: list[int]) -> list[int]:
    """T5: its padding. Bart: its end, PLBART: the language; then all that precedes the mask."""
    if tiny.name == "codet5":
        return [0]
    assert tiny.mask_id is not None
    start = 2 if tiny.name == "bart" else prompt[-1]
    return [start, *prompt[: prompt.index(tiny.mask_id)]]


def _unixcoder(
    folder: Path, prompt: list[int], num_tokens: int, stops: tuple[int, ...]
) -> list[int]:
    """Without a cache: the prompt sees itself whole, what follows sees what precedes it."""
    model = _model("RobertaModel", folder, is_decoder=True)
    ids = list(prompt)
    while len(ids) < len(prompt) + num_tokens:
        sees = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
        sees[: len(prompt), : len(prompt)] = True
        positions = torch.arange(len(ids))[None] + 2
        hidden = model(
            torch.tensor([ids]), attention_mask=sees[None, None], position_ids=positions
        ).last_hidden_state[0, -1]
        ids.append(int((model.embeddings.word_embeddings.weight @ hidden).argmax()))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


def _masked(folder: Path, prompt: list[int], mask_id: int, stops: tuple[int, ...]) -> list[int]:
    model = _model("RobertaForMaskedLM", folder)
    ids, hole, num_masks = list(prompt), prompt.index(mask_id), prompt.count(mask_id)
    for place in range(hole, hole + num_masks):
        positions = torch.arange(len(ids))[None] + 2
        ids[place] = int(
            model(torch.tensor([ids]), position_ids=positions).logits[0, place].argmax()
        )
        if ids[place] in stops:
            return ids[hole : place + 1]
    return ids[hole : hole + num_masks]
