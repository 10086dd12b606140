"""Options of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from batchfim.sandbox.sandbox import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """What to evaluate and how.

    Attributes:
        middle: column with the text to evaluate.
        reference: column to compare it with; if None, `middle_reference` if the output has it.
        rule: truncation rule applied to the text, a name in `rules.RULES`.
        execution: run the records' tests within these limits; if None, no generated code is run.
        seed: random seed of the intervals.
        resamples: number of bootstrap resamples.
    """

    middle: str = "middle"
    reference: str | None = None
    rule: str = "as_is"
    execution: Limits | None = None
    seed: int = 0
    resamples: int = 1000
