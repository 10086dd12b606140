"""Programs that mean no harm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from batchfim.errors import JobFailed
from batchfim.sandbox.sandbox import Sandbox
from tests.sandbox.conftest import SMALL

ORDINARY = """
import collections, copy, dataclasses, functools, hashlib, itertools, json, math, random, re, string
from typing import List
assert hashlib.md5(b"a").hexdigest().startswith("0cc1")
assert __name__ == "builtins"
"""
CLASS_VARIABLE = """
from dataclasses import dataclass
from typing import ClassVar
@dataclass
class A:
    n: ClassVar[list] = []
    x: int = 0
assert A(3).x == 3
"""


def test_the_standard_library_is_there(sandbox: Sandbox) -> None:
    assert sandbox.run(ORDINARY) == "passed"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("assert 1 == 2, 'no'", "failed: AssertionError: no"),
        ("def f(:", "failed: SyntaxError"),
        ("import numpy", "failed: ModuleNotFoundError"),
        ("raise SystemExit", "failed: SystemExit"),
        ("f = lambda: f()\nf()", "failed: RecursionError"),
        ("raise ValueError('é' * 1000)", "failed: ValueError: é"),
        ("def f(x: Undefined): pass", "failed: NameError: name 'Undefined'"),
        (CLASS_VARIABLE, "passed"),
    ],
)
def test_what_was_raised_is_said(sandbox: Sandbox, program: str, said: str) -> None:
    found = sandbox.run(program)
    assert found.startswith(said)
    assert len(found) <= 200


def test_the_order_of_sets_is_the_same_each_time(sandbox: Sandbox) -> None:
    program = "raise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert sandbox.run(program) == sandbox.run(program)


def test_several_threads_may_run_programs(sandbox: Sandbox) -> None:
    programs = [f"assert {number} % 2" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(sandbox.run, programs))
    assert [said == "passed" for said in outcomes] == [bool(number % 2) for number in range(8)]


def test_what_cannot_be_confined_is_not_run(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `unshare` that refuses, as in a container without the right."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(JobFailed, match="unshare"):
        Sandbox(SMALL, "namespaces").run("")
    assert Sandbox.strongest(SMALL).confinement == "limits"
