"""How much work the kills cost, as a share of the job. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_HIT_ONE_WORKER = ("actor", "engine", "hang")


def redone(
    parts: Mapping[str, pa.Table], hit: Mapping[str, int], *, workers: int, in_hand: int
) -> dict[str, Any]:
    """Shards leased again, counted whole, beside the most that the kills may have cost.

    Args:
        parts: the output; `attempt` counts a shard's leases in the run that finished it.
        hit: kills by target.
        workers: of a run.
        in_hand: shards leased to a worker at once.
    """
    with_drivers = hit.get("driver", 0) * workers * in_hand
    again = sum(pc.max(part["attempt"]).as_py() - 1 for part in parts.values())
    bound = with_drivers + sum(hit.get(name, 0) for name in _HIT_ONE_WORKER) * in_hand
    return {
        "leases_repeated_within_runs": again,
        "leases_of_killed_drivers_at_most": with_drivers,
        "fraction_at_most": round((again + with_drivers) / len(parts), 4),
        "bound_leased_shards": bound,
        "bound_fraction": round(bound / len(parts), 4),
    }
