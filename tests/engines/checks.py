"""Stop checks that tests share."""

from __future__ import annotations

from batchfim.engines.engine import StopCheck


def after(count: int) -> StopCheck:
    """Ends a sample with its `count`-th token."""
    left = iter(range(count - 1, -1, -1))
    return lambda token_id: next(left) == 0
