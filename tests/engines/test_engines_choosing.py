"""Which token is chosen: greedy, temperature, top k, top p, and the draw."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from batchfim.config import Sampling
from batchfim.engines.transformers.decoding import choose, restrict

PROBABILITIES = (0.1, 0.4, 0.2, 0.3)
LOGITS = torch.tensor([[math.log(p) for p in PROBABILITIES]])


def drawn(uniform: float, **sampling: Any) -> int:
    options = Sampling(**{"temperature": 1.0} | sampling)
    (token_id,) = choose(LOGITS, options, [uniform])
    return token_id


def test_greedy_takes_the_likeliest() -> None:
    assert choose(LOGITS, Sampling(temperature=0), []) == [1]


@pytest.mark.parametrize(
    ("uniform", "expected"),
    [(0.0, 0), (0.099, 0), (0.101, 1), (0.499, 1), (0.501, 2), (0.701, 3), (1 - 2**-53, 3)],
)
def test_a_draw_falls_on_its_share(uniform: float, expected: int) -> None:
    assert drawn(uniform) == expected


def test_temperature_sharpens_and_flattens() -> None:
    squares = [p * p for p in PROBABILITIES]
    edge = squares[0] / sum(squares)
    assert [drawn(edge + shift, temperature=0.5) for shift in (-0.001, 0.001)] == [0, 1]
    assert {drawn(uniform / 10, temperature=1e-9) for uniform in range(10)} == {1}


@pytest.mark.parametrize(
    ("top_k", "top_p", "expected"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (9, 1.0, [0, 1, 2, 3]),
        (2, 1.0, [1, 3]),
        (1, 1.0, [1]),
        (0, 0.39, [1]),  # the likeliest alone reaches it
        (0, 0.41, [1, 3]),
        (0, 0.71, [1, 2, 3]),
        (0, 1e-9, [1]),
        (2, 0.5, [1]),  # after top k, 0.4 is four sevenths
        (2, 0.6, [1, 3]),
    ],
)
def test_top_k_first_and_then_top_p(top_k: int, top_p: float, expected: list[int]) -> None:
    kept = restrict(LOGITS, top_k, top_p)[0]
    assert [place for place in range(4) if kept[place] > -torch.inf] == expected
    assert {drawn(i / 20, top_k=top_k, top_p=top_p) for i in range(20)} == set(expected)


def test_rows_are_told_apart() -> None:
    rows = torch.cat([LOGITS, LOGITS.flip(-1), LOGITS])
    assert choose(rows, Sampling(temperature=1), [0.05, 0.05, 0.95]) == [0, 0, 3]
    assert choose(rows, Sampling(temperature=0), []) == [1, 2, 1]
