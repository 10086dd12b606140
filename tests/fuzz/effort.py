"""How hard to look: the same few examples in each `make test`, new and more in `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("BATCHFIM_FUZZ", "1"))


def examples(number: int) -> settings:
    """Settings for a fuzz test that tries `number` examples in `make test`."""
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
