"""What a training run did and how good its model is, as one JSON file the card is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from batchfim.demo.training.holes import HoleKind
from batchfim.demo.training.samples import Order


class CurvePoint(BaseModel):
    """Mean losses (nats per token) since the point before, after `elapsed_s` of training."""

    elapsed_s: float
    step: int
    num_tokens: int
    middle_loss: float
    context_loss: float


class EvalRow(BaseModel):
    """Greedy decoding of `num_holes` held-out holes of one kind in one order."""

    kind: HoleKind
    order: Order
    num_holes: int
    num_stopped: int
    num_exact: int

    @property
    def stop_share(self) -> float:
        """Share of middles that the model ended itself within the token limit."""
        return self.num_stopped / self.num_holes

    @property
    def exact_share(self) -> float:
        """Share of middles that equal the file's, character by character, and were ended."""
        return self.num_exact / self.num_holes


class Evaluation(BaseModel):
    """Held-out figures after `elapsed_s` of training."""

    elapsed_s: float
    step: int
    rows: list[EvalRow]


class DataFacts(BaseModel):
    """What was trained on and what was held out."""

    python_version: str
    num_files: int
    num_characters: int
    num_held_out_files: int
    num_held_out_characters: int
    held_out_modules: list[str]


class TrainingRecord(BaseModel):
    """Everything the model card says, for machines."""

    recipe: dict[str, Any]
    hardware: str
    libraries: dict[str, str]
    data: DataFacts
    num_parameters: int
    notes: list[str] = []
    """What the recipe alone does not say, such as a change between two parts of a run."""
    curve: list[CurvePoint] = []
    evaluations: list[Evaluation] = []


def write_text_whole(path: Path, text: str) -> None:
    """Write aside, then rename: a reader sees the old file or the new one, never half of one."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
