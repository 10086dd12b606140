"""The participants of the sharing benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bare_side import BareSide, SortedSide
from benchmarks.house_side import HouseSide, RegroupedSide
from benchmarks.ray_side import RaySide
from benchmarks.sides import Setup, Side


@dataclass(frozen=True)
class Peer:
    """A side, its own settings, and whether it takes turns with others or runs alone."""

    side: Callable[[Setup], Side]
    ray: dict[str, Any] = field(default_factory=dict)
    takes_turns: bool = True


# The tuned Ray Data LLM is the best of these: smaller or larger batches, more in flight than with
# its defaults (32 and 8), no engine metrics, no detokenizer.
_LEAN = {"log_engine_metrics": False, "detokenize_stage": False, "max_pending_requests": 512}
RAY_GRID = {
    "ray_16x32": {"batch_size": 16, "max_concurrent_batches": 32},
    "ray_64x8": {"batch_size": 64, "max_concurrent_batches": 8},
    "ray_64x8_lean": {"batch_size": 64, "max_concurrent_batches": 8} | _LEAN,
}
PEERS = {
    "batchfim": Peer(HouseSide),
    "batchfim_regrouped": Peer(RegroupedSide),
    "llm_generate": Peer(BareSide),
    "llm_generate_sorted": Peer(SortedSide),
    "ray_default": Peer(RaySide, takes_turns=False),
    **{name: Peer(RaySide, settings, takes_turns=False) for name, settings in RAY_GRID.items()},
}
