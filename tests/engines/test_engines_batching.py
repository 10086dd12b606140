"""Batches are bounded, waste little, and leave nobody waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.engines.transformers.batching import pick_batch

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@given(
    lengths=LENGTHS,
    new_tokens=st.integers(0, 50),
    max_tokens=st.integers(1, 3000),
    max_padding=st.floats(0, 0.9),
)
def test_bounds_hold_and_the_oldest_is_served(
    lengths: list[int], new_tokens: int, max_tokens: int, max_padding: float
) -> None:
    batch = pick_batch(
        lengths, new_tokens=new_tokens, max_tokens=max_tokens, max_padding=max_padding
    )
    assert batch[0] == 0
    assert len(set(batch)) == len(batch)
    padded = max(lengths[place] for place in batch) * len(batch)
    if len(batch) > 1:
        assert padded + new_tokens * len(batch) <= max_tokens
        assert padded - sum(lengths[place] for place in batch) <= max_padding * padded


@given(lengths=LENGTHS)
def test_without_bounds_all_go_together(lengths: list[int]) -> None:
    batch = pick_batch(lengths, new_tokens=9, max_tokens=1 << 30, max_padding=0.999)
    assert sorted(batch) == list(range(len(lengths)))


@pytest.mark.parametrize(
    ("max_tokens", "max_padding", "expected"),
    [
        (1000, 0.0, [0, 2]),  # only its own length
        (1000, 0.1, [0, 2, 4]),  # the next longer one wastes a tenth at most
        (1000, 0.6, [0, 2, 4, 1, 3]),  # nearest in length first
        (29, 0.6, [0]),  # (10 + 5) * 2 are 30
        (30, 0.6, [0, 2]),
    ],
)
def test_neighbours_in_length_are_taken_first(
    max_tokens: int, max_padding: float, expected: list[int]
) -> None:
    lengths = [10, 13, 10, 2, 11]
    batch = pick_batch(lengths, new_tokens=5, max_tokens=max_tokens, max_padding=max_padding)
    assert batch == expected
