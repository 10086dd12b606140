"""What is asked of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from batchfim.sandbox.sandbox import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """What to evaluate and how.

    Attributes:
        middle: the column with the text.
        reference: the one to compare it with; None: `middle_reference`, where there is one.
        rule: what of the text is evaluated; a name in `rules.RULES`.
        execution: run the records' tests, within these limits; None: the model's code is not run.
        seed: of the intervals' draws.
        resamples: draws of all records.
    """

    middle: str = "middle"
    reference: str | None = None
    rule: str = "as_is"
    execution: Limits | None = None
    seed: int = 0
    resamples: int = 1000
