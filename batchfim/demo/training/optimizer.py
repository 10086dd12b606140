"""Muon for the matrices, AdamW for the rest, and one schedule for both that follows the clock.

Muon (https://kellerjordan.github.io/posts/muon/) learned infilling in far fewer steps than AdamW
alone did. Embeddings, norms and biases are AdamW's, as its author advises.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from batchfim.demo.training.config import TrainingConfig


def learning_rate_share(progress: float, warmup_share: float, decay_share: float) -> float:
    """Part of the peak learning rate to use once `progress` in [0, 1] of the budget is spent.

    Rises from 0, holds, and falls to 0 in a straight line, reaching it when the budget ends.
    """
    rising = progress / warmup_share if warmup_share else 1.0
    falling = (1.0 - progress) / decay_share if decay_share else 1.0
    return max(0.0, min(1.0, rising, falling))


class Optimizer:
    """The two optimizers as one."""

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        """Share the parameters out: matrices to Muon, all others to AdamW."""
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            is_matrix = parameter.ndim == 2 and "embed" not in name
            (matrices if is_matrix else others).append(parameter)
        self._config = config
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices,
                lr=config.muon_lr,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(
                others, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True
            ),
        )
        self._parameters = [*matrices, *others]

    def step(self, progress: float) -> None:
        """Clip the gradients, apply them at the rate of `progress`, and clear them."""
        nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm)
        share = learning_rate_share(progress, self._config.warmup_share, self._config.decay_share)
        peaks = (self._config.muon_lr, self._config.adamw_lr)
        for part, peak in zip(self._parts, peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * share
            part.step()
            part.zero_grad()

    def state_dict(self) -> list[dict[str, Any]]:
        """State of both parts, for a checkpoint."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Take back what `state_dict` gave."""
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)
