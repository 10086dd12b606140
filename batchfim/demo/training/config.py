"""All numbers that training depends on, in one frozen place; the model card repeats them."""

from __future__ import annotations

from dataclasses import dataclass

from batchfim.demo.training.holes import HoleKind


@dataclass(frozen=True, slots=True)
class Stage:
    """Share of batches with rows of each length, until `until` of the time budget has passed."""

    until: float
    length_shares: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Size of the network; 64-wide heads suit vLLM's CPU attention best."""

    num_layers: int = 4
    hidden_size: int = 256
    intermediate_size: int = 1024
    num_heads: int = 4
    num_kv_heads: int = 2
    max_position_embeddings: int = 2048
    rope_theta: float = 10_000.0


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The recipe. Lengths and batch are in tokens, `*_s` in seconds, shares in [0, 1].

    Short rows come first because a short sample spends more of its tokens on the middle. The
    schedule follows the clock rather than the step count, so training ends within its time budget
    whatever else the machine does.
    """

    minutes: float = 110.0
    seed: int = 0
    num_threads: int = 2
    vocab_size: int = 4096
    shape: ModelShape = ModelShape()
    batch_tokens: int = 4096
    stages: tuple[Stage, ...] = (
        Stage(0.25, ((128, 0.7), (256, 0.3))),
        Stage(0.65, ((128, 0.2), (256, 0.8))),
        Stage(1.00, ((128, 0.25), (256, 0.5), (512, 0.25))),
    )
    kind_shares: tuple[tuple[HoleKind, float], ...] = (
        (HoleKind.HALF_LINE, 0.60),
        (HoleKind.LINE, 0.30),
        (HoleKind.MULTI_LINE, 0.05),
        (HoleKind.RANDOM_SPAN, 0.05),
    )
    test_suite_share: float = 0.3
    max_middle_share: float = 0.25
    """A middle longer than this part of its sample is drawn again."""
    context_weight: float = 0.1
    """Loss weight of a token outside the middle; a middle's token, or its end, weighs 1."""
    muon_lr: float = 0.006
    adamw_lr: float = 0.003
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    warmup_share: float = 0.01
    decay_share: float = 0.30
    log_every_s: float = 60.0
    checkpoint_every_s: float = 300.0
    evaluate_every_s: float = 1000.0
    eval_max_prompt_tokens: int = 384
    eval_max_new_tokens: int = 64
