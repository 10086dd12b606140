"""Show a job's status repeatedly until no run works on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_EVERY_S = 5.0


def watch(look: Callable[[], dict[str, Any]], show: Callable[[dict[str, Any]], None]) -> None:
    """Show a status now and every few seconds while the job is running."""
    show(status := look())
    while status["state"] == "running":
        time.sleep(_EVERY_S)
        show(status := look())
