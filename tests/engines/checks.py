"""Stop checks that tests share."""

from __future__ import annotations

from batchfim.engines.engine import StopFn


def after(count: int) -> StopFn:
    """Ends a sample with its `count`-th token."""
    left = iter(range(count - 1, -1, -1))
    return lambda token_id: next(left) == 0
