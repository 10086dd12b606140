"""Whole jobs of hostile records, on the simulated engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchfim.api import JobResult
from tests.jobs_in_process import Job

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    '" onmouseover="window.hacked = 1" x="',
    "\u202eright to left\u2066 {{7*7}} {% raw %}",
    "<!-- <svg/onload=window.hacked=1> \x1b[31m \x08",
)


@dataclass
class ReportedJob(Job):
    """A job whose runs make their report."""

    def run(self, *sets: str, paths: Sequence[Path] = ()) -> JobResult:
        return super().run("metrics.report=true", *sets, paths=paths)


def write_records(job: Job, num: int = 60) -> None:
    """Records whose every text is hostile; each tenth has no suffix and is rejected."""
    texts = [HOSTILE[row % len(HOSTILE)] for row in range(num)]
    job.write(
        "a.parquet",
        range(num),
        id=[f"{row} {text}" for row, text in enumerate(texts)],
        path=[f"src/{text}.py" for text in texts],
        prefix=[f"def f{row}():\n    {text}\n    " for row, text in enumerate(texts)],
        suffix=[text if row % 10 else None for row, text in enumerate(texts)],
        middle_reference=[f"return {text}" for text in texts],
    )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of 60 hostile records, not run yet."""
    new = ReportedJob(tmp_path / "records", tmp_path / "out <b>")
    write_records(new)
    return new


def numbers(texts: Sequence[str]) -> list[float | None]:
    return [float(text) if text else None for text in texts]
