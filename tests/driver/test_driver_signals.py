"""Signals: which one leaves time, and what a second one does."""

from __future__ import annotations

import contextlib
import signal

import pytest

from batchfim.signals import StopSignal, exit_signals, stop_signals


def test_who_presses_ctrl_c_waits_and_a_sigterm_leaves_time() -> None:
    numbers = (None, signal.SIGINT, signal.SIGTERM)
    assert [StopSignal(number).grace_s(25.0) for number in numbers] == [None, 0.0, 25.0]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_has_its_usual_effect(first: int) -> None:
    with stop_signals() as stop:
        signal.raise_signal(first)
        assert stop.number == first
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_whose_exit_was_swallowed_ends_the_process_all_the_same() -> None:
    def swallow() -> None:
        with exit_signals(), contextlib.suppress(SystemExit):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as left:
        swallow()
    assert left.value.code == 143
