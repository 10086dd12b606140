"""A SIGTERM that falls while another handler than ours is in place is not lost."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from batchfim.cluster.sigterm import own_sigterm


class Dropping:
    """What is raised in a destructor is dropped by Python."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def came() -> Iterator[list[int]]:
    """The signals that reach this process's own handler."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def exit_at_once(*, hit: bool = False) -> None:
    """Have the handler that `ray.init` puts there, and perhaps the signal."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
    if hit:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exit_that_was_dropped_is_told_to_our_own_handler(came: list[int]) -> None:
    with own_sigterm():
        exit_at_once()
        one = Dropping()
        del one
        assert not came
    assert came == [signal.SIGTERM]


def test_an_exit_that_was_not_dropped_has_the_code_of_its_signal(came: list[int]) -> None:
    with pytest.raises(SystemExit) as caught, own_sigterm():
        exit_at_once(hit=True)
    assert caught.value.code == 128 + signal.SIGTERM
    signal.raise_signal(signal.SIGTERM)
    assert came == [signal.SIGTERM]  # our handler is back


def test_without_a_signal_nothing_comes(came: list[int]) -> None:
    with own_sigterm():
        exit_at_once()
    assert not came
