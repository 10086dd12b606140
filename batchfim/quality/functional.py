"""Functional correctness: run each record's test on the completed file, and estimate pass@k."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from threading import Event

import numpy as np

from batchfim.errors import InputError
from batchfim.quality.rows import Row, Scored, Sources
from batchfim.sandbox.sandbox import PASSED, Limits, Sandbox

_KS = (1, 10, 100)
_CHECK = re.compile(r"^def check\(", re.MULTILINE)
_CALLS_CHECK = re.compile(r"^(test_)?check\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tests:
    """The sandbox that runs the records' tests, and the values of k for pass@k."""

    sandbox: Sandbox
    ks: tuple[int, ...]


def find_tests(sources: Sources, limits: Limits | None, num_samples: int) -> Tests | None:
    """Set up the records' tests; None if they are not to be run.

    Raises:
        InputError: they are to be run, but the output has none.
    """
    if limits is None:
        return None
    if sources.test is None or sources.prefix is None or sources.suffix is None:
        raise InputError(
            "--allow-execution: there is nothing to run; it needs the columns test and entry_point "
            "(as `prepare humaneval-infilling` writes them), prefix and suffix in the output: "
            "see input.keep"
        )
    ks = tuple(k for k in _KS if k <= num_samples)
    return Tests(Sandbox.strongest(limits), ks)


def program_of(row: Row, middle: str) -> str | None:
    """Program text to run, assembled as in HumanEval-Infilling; None if there is nothing to run.

    Source: openai/human-eval-infilling, `execution.py`.
    """
    if row.test is None or row.prefix is None or row.suffix is None or why_not_run(row):
        return None
    call = f"\ncheck({row.entry_point})" if row.entry_point else ""
    return f"{row.prefix}{middle}{row.suffix}\n{row.test}{call}\n"


def why_not_run(row: Row) -> str | None:
    """Why a row's test cannot be run; None if it can."""
    if row.language not in ("python", None):
        return "are not Python"
    if not row.entry_point and row.test and _defines_check_alone(row.test):
        return "define check() and have no entry_point to call it with (input.keep)"
    return None


def _defines_check_alone(test: str) -> bool:
    """Whether a test defines check() and does not call it, so that it would always pass."""
    return bool(_CHECK.search(test)) and not _CALLS_CHECK.search(test)


def not_run(scored: Sequence[Scored]) -> Counter[str]:
    """Number of rows whose test is not run, by reason."""
    reasons = (why_not_run(one.row) for one in scored if one.row.test is not None)
    return Counter(reason for reason in reasons if reason)


def run_tests(scored: Sequence[Scored], tests: Tests, stop: Event) -> None:
    """Run the tests of some rows, with all samples of a record among them, until `stop` is set.

    Each row's `execution` is set; a record's first row gets the record's pass@k.
    """
    for one in scored:
        program = program_of(one.row, one.in_file)
        if program is not None and not stop.is_set():
            one.execution = tests.sandbox.run(program)
    for _, samples in groupby(scored, key=lambda one: one.row.record):
        run = [one for one in samples if one.execution is not None]
        passed = sum(one.execution == PASSED for one in run)
        for k in tests.ks:
            if len(run) >= k:
                run[0].scores[f"pass@{k}"] = pass_at(k, len(run), passed)


def pass_at(k: int, samples: int, passed: int) -> float:
    """Unbiased estimate of pass@k, the chance that any of `k` samples passes.

    Source: Chen et al. 2021 (Codex), 2.1.
    """
    if samples - passed < k:
        return 1.0
    return float(1 - np.prod(1 - k / np.arange(samples - passed + 1, samples + 1)))
