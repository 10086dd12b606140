"""Compare the sharing benchmark's figures with its limits; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import at_least, at_most

Cells = Mapping[str, Mapping[str, Any]]

_OVER_BOUND = {"tenth": 1.03, "hundredth": 1.10}
_OVER_LLM = {"tenth": 1.5, "hundredth": 2.4}
_OVER_RAY, _OVER_RAY_TUNED = 2.0, 1.5


def judge(name: str, cells: Cells) -> dict[str, dict[str, Any]]:
    """Every limit on a set of records, including those whose figures were not measured.

    Args:
        name: name of the set; speeds have limits only on the standard library.
        cells: figures by "cache c, order, peer".
    """
    limits = {}
    for cache, most in _OVER_BOUND.items():
        file = cells.get(f"cache {cache}, file, batchfim", {}).get("over_bound")
        limits[f"cache {cache}, file order: computed over bound"] = at_most(most, file)
        shuffled = cells.get(f"cache {cache}, shuffled, batchfim_regrouped", {}).get("over_bound")
        key = f"cache {cache}, shuffled and regrouped: computed over bound"
        limits[key] = at_most(most, shuffled)
    for cache, least in _OVER_LLM.items() if name == "standard_library" else ():
        there = f"cache {cache}, shuffled"
        for peer, limit in _peers(least).items():
            ratio = _ratio(cells, f"{there}, batchfim_regrouped", f"{there}, {peer}")
            limits[f"{there}: regrouped over {peer}"] = at_least(limit, ratio)
    return limits


def _peers(over_llm: float) -> dict[str, float]:
    return {
        "llm_generate": over_llm,
        "ray_default": _OVER_RAY,
        "ray_tuned": _OVER_RAY_TUNED,
    }


def _ratio(cells: Cells, ours: str, peer: str) -> float | None:
    """Ratio of our speed to a peer's; a tuned peer is the fastest of its cells, if it was tuned."""
    if peer.endswith("ray_tuned"):
        start = peer.removesuffix("tuned")
        tried = {key: cell for key, cell in cells.items() if key.startswith(start)}
        only_defaults = tried.keys() <= {f"{start}default"}
        speeds = [] if only_defaults else [cell["records_per_s"] for cell in tried.values()]
    else:
        speeds = [cells[peer]["records_per_s"]] if peer in cells else []
    if ours not in cells or not speeds:
        return None
    return float(cells[ours]["records_per_s"] / max(speeds))
