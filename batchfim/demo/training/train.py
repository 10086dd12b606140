"""The training loop, which follows the clock, logs, saves checkpoints and can be resumed."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import Starcoder2ForCausalLM

from batchfim.demo.training.batches import Batch, SampleMaker
from batchfim.demo.training.config import TrainingConfig
from batchfim.demo.training.model import losses
from batchfim.demo.training.optimizer import Optimizer
from batchfim.demo.training.record import CurvePoint, TrainingRecord

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class LossSums:
    """Losses since the last point of the curve, summed separately for middle and context."""

    middle: float = 0.0
    context: float = 0.0
    num_middle: int = 0
    num_context: int = 0

    def add(self, values: torch.Tensor, batch: Batch) -> None:
        """Add one batch's losses in nats; padding counts for neither."""
        in_context = (batch.weights > 0) & ~batch.in_middle
        self.middle += float(values[batch.in_middle].sum())
        self.context += float(values[in_context].sum())
        self.num_middle += int(batch.in_middle.sum())
        self.num_context += int(in_context.sum())


class Trainer:
    """One run, which regularly calls `report` with the trainer to evaluate and export."""

    def __init__(
        self,
        model: Starcoder2ForCausalLM,
        maker: SampleMaker,
        config: TrainingConfig,
        record: TrainingRecord,
        checkpoint: Path,
    ) -> None:
        """A run from the start; `checkpoint` is the file to save to and to resume from."""
        self.model = model
        self.record = record
        self.step = 0
        self.elapsed_s = 0.0
        self._num_tokens = 0
        self._maker = maker
        self._config = config
        self._checkpoint = checkpoint
        self._optimizer = Optimizer(model, config)
        self._losses = torch.compile(losses, dynamic=False)
        self._sums = LossSums()

    def run(self, report: Callable[[Trainer], None]) -> None:
        """Train until the budget is spent. Time taken by `report` counts as training time."""
        config = self._config
        budget_s = config.minutes * 60
        began_s = time.monotonic() - self.elapsed_s
        logged_s = saved_s = reported_s = self.elapsed_s
        while self.elapsed_s < budget_s:
            self._train_step(self.elapsed_s / budget_s)
            self.elapsed_s = time.monotonic() - began_s
            if self.elapsed_s - logged_s >= config.log_every_s:
                logged_s = self.elapsed_s
                self._log()
            if self.elapsed_s - saved_s >= config.checkpoint_every_s:
                saved_s = self.elapsed_s
                self.save()
            if self.elapsed_s - reported_s >= config.evaluate_every_s:
                reported_s = self.elapsed_s
                report(self)
        self.save()

    def _train_step(self, progress: float) -> None:
        batch: Batch = self._maker.batch(self.step, progress)
        values = self._losses(self.model, batch)
        loss = (values * batch.weights).sum() / batch.weights.sum()
        loss.backward()
        self._optimizer.step(progress)
        self._sums.add(values.detach(), batch)
        self.step += 1
        self._num_tokens += batch.inputs.numel()

    def _log(self) -> None:
        sums, self._sums = self._sums, LossSums()
        point = CurvePoint(
            elapsed_s=round(self.elapsed_s, 1),
            step=self.step,
            num_tokens=self._num_tokens,
            middle_loss=round(sums.middle / max(1, sums.num_middle), 4),
            context_loss=round(sums.context / max(1, sums.num_context), 4),
        )
        self.record.curve.append(point)
        _LOG.info("%s", point)

    def save(self) -> None:
        """Write the checkpoint aside, then rename it."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "num_tokens": self._num_tokens,
            "record": self.record.model_dump_json(),
        }
        aside = self._checkpoint.with_suffix(".part")
        torch.save(state, aside)
        aside.replace(self._checkpoint)

    def resume(self) -> None:
        """Continue the run from its last checkpoint."""
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.elapsed_s = state["elapsed_s"]
        self._num_tokens = state["num_tokens"]
        self.record = TrainingRecord.model_validate_json(state["record"])
