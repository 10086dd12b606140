"""Jobs side by side, as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest

from batchfim.api import compare_jobs
from batchfim.report.compare import comparison_text
from tests.jobs_in_process import Job


def in_context(context_tokens: int | None) -> dict[str, Any]:
    about = dict.fromkeys(("output", "model", "family", "order"), "x")
    found = {"context_tokens": context_tokens, "complete": True, "figures": [], "evaluation": {}}
    return about | found | {"evaluated": None, "evaluation_outdated": False}


@pytest.mark.parametrize("other", [512, None])
def test_models_that_see_more_than_others_are_pointed_out(other: int | None) -> None:
    assert "context lengths differ" in comparison_text([in_context(2048), in_context(other)])
    assert "context lengths differ" not in comparison_text([in_context(2048), in_context(2048)])


@pytest.mark.parametrize(
    "changed", [{"rule": "fim-bench"}, {"middle": "raw_middle"}, {"reference": "x"}, {"rows": 9}]
)
def test_scores_of_different_things_are_pointed_out(changed: dict[str, Any]) -> None:
    how = {"rule": "as_is", "middle": "middle", "reference": "middle_reference", "rows": 10}
    one, same, other = (
        in_context(None) | {"evaluated": evaluated} for evaluated in (how, how, how | changed)
    )
    warning = "The evaluations differ in their settings or rows"
    assert warning not in comparison_text([one, same, in_context(None)])
    told = comparison_text([one, other])
    assert warning in told
    assert all(str(value) in told for value in changed.values())


def test_a_folder_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert "[/out] :x:" in comparison_text([in_context(None) | {"output": "[/out] :x:"}])


def test_the_context_is_the_jobs_own(job: Job) -> None:
    job.run("engine.max_model_len=300", "sampling.max_tokens=8")
    (told,) = compare_jobs([str(job.output)])
    assert told["context_tokens"] == 300
    assert "300" in comparison_text([told])
