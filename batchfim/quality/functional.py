"""Does a middle work: run the record's test on the whole file, and estimate pass@k."""

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


@dataclass(frozen=True, slots=True)
class Tests:
    """Where the records' tests run, and for which k pass@k is told."""

    sandbox: Sandbox
    ks: tuple[int, ...]


def find_tests(sources: Sources, limits: Limits | None, num_samples: int) -> Tests | None:
    """What is needed to run the tests; None: they are not to be run.

    Raises:
        InputError: they are to be run, and there are none.
    """
    if limits is None:
        return None
    if sources.test is None or sources.prefix is None or sources.suffix is None:
        raise InputError(
            "--allow-execution: there is nothing to run; expected the columns test and entry_point "
            "(as `prepare humaneval-infilling` writes them), prefix and suffix to have ridden along"
        )
    ks = tuple(k for k in _KS if k <= num_samples)
    return Tests(Sandbox.strongest(limits), ks)


def program_of(row: Row, middle: str) -> str | None:
    """The text to run, as HumanEval-Infilling puts it together; None: there is none to be run.

    Source: openai/human-eval-infilling, `execution.py`.
    """
    if row.test is None or row.prefix is None or row.suffix is None or why_not_run(row):
        return None
    call = f"\ncheck({row.entry_point})" if row.entry_point else ""
    return f"{row.prefix}{middle}{row.suffix}\n{row.test}{call}\n"


def why_not_run(row: Row) -> str | None:
    """Of a row that has a test."""
    if row.language not in ("python", None):
        return "are not Python"
    if not row.entry_point and row.test and _CHECK.search(row.test):  # passes whatever is checked
        return "define check() and have no entry_point to call it with (input.keep)"
    return None


def not_run(scored: Sequence[Scored]) -> Counter[str]:
    """Rows whose test is not run, by the reason."""
    reasons = (why_not_run(one.row) for one in scored if one.row.test is not None)
    return Counter(reason for reason in reasons if reason)


def run_tests(scored: Sequence[Scored], tests: Tests, stop: Event) -> None:
    """Run the tests of some rows, the samples of a record together, until they are to stop.

    Each row is told how its run ended; a record's first row gets the record's pass@k.
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
    """Chance that one of `k` samples passes, without bias, from `passed` of `samples` that did.

    Source: Chen et al. 2021 (Codex), 2.1.
    """
    if samples - passed < k:
        return 1.0
    return float(1 - np.prod(1 - k / np.arange(samples - passed + 1, samples + 1)))
