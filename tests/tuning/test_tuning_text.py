"""A tuning as a person reads it."""

from __future__ import annotations

from batchfim.tuning.text import tuning_text
from batchfim.tuning.trial import Trial
from batchfim.tuning.tune import Tuning


def test_an_error_that_looks_like_markup_is_shown_as_it_is() -> None:
    shown = tuning_text(Tuning((Trial({}, error="[/x] list[int] :x:"),), {}, sample_rows=1))
    assert "[/x] list[int] :x:" in shown
