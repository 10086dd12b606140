"""One knob at a time, and a winner only where it wins every time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batchfim.errors import ConfigError
from batchfim.tuning.knobs import parse_knob
from batchfim.tuning.search import Knob, Settings, search

SEQS, BLOCK = Knob("seqs", (64, 256)), Knob("block", (32, 64))


def test_the_values_of_a_knob_may_be_lists() -> None:
    assert parse_knob("a.b=64, 128") == Knob("a.b", (64, 128))
    assert parse_knob("infill.stop=[eot, line],[eot]").values == (["eot", "line"], ["eot"])
    with pytest.raises(ConfigError, match=r"--knob 'a=\[b': invalid YAML"):
        parse_knob("a=[b")


def test_each_knob_is_turned_from_where_the_one_before_was_best() -> None:
    asked: list[Settings] = []

    def measure(settings: Settings) -> float:
        asked.append(settings)
        return settings.get("seqs", 1) + settings.get("block", 500) / 10

    best = search([SEQS, BLOCK], measure, repeats=1)
    assert asked == [
        {},
        {"seqs": 64},
        {"seqs": 256},
        {"seqs": 256, "block": 32},
        {"seqs": 256, "block": 64},
        {},
        {"seqs": 256},
    ]
    assert best.settings == {"seqs": 256}


def in_turn(*rates: float | None) -> Callable[[Settings], float | None]:
    left = iter(rates)
    return lambda settings: next(left)


def test_a_winner_must_beat_the_jobs_own_settings_in_every_run() -> None:
    knob = Knob("seqs", (64,))
    won = search([knob], in_turn(100, 110, 101, 108, 99, 107), repeats=2)
    assert won.settings == {"seqs": 64}
    lucky = search([knob], in_turn(100, 110, 101, 100.5, 99, 107), repeats=2)
    assert lucky.settings == {}


def test_what_fails_is_passed_over_and_nothing_is_repeated_for_it() -> None:
    best = search([SEQS], in_turn(100, None, 90), repeats=2)
    assert best.settings == {}
    assert best.rates == [100]


def test_a_winner_that_fails_once_is_none() -> None:
    best = search([Knob("seqs", (64,))], in_turn(100, 110, 90, None, 90, 120), repeats=2)
    assert best.settings == {}
