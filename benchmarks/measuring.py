"""What every benchmark reports: the machine, versions, and ratios with their limits."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from batchfim.versions import versions

RESULTS = Path(__file__).parent / "results"
_IDLE_LOAD = 0.5  # a higher load means that others used the machine before the benchmark began
# A machine with only the first took 7 times the CPU time of others for the demo model's records.
_VECTORS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine() -> dict[str, Any]:
    """The machine, and its load at the time of the call."""
    return {
        "cpu": _cpuinfo("model name") or platform.processor(),
        "cpu_vectors": [one for one in _VECTORS if one in _cpuinfo("flags").split()],
        "cores": os.cpu_count(),
        "gpus": _gpus(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "load_before": _load(),
    }


def at_least(limit: float, value: float | None) -> dict[str, Any]:
    """A ratio that must reach its limit; None if it was not measured."""
    return _judged(value, f"at least {limit:g}", value is not None and value >= limit)


def at_most(limit: float, value: float | None) -> dict[str, Any]:
    """A ratio that must stay within its limit; None if it was not measured."""
    return _judged(value, f"at most {limit:g}", value is not None and value <= limit)


def keep(name: str, result: dict[str, Any], *, started: dict[str, Any]) -> None:
    """Print a result and keep it under `results/`.

    Args:
        name: name of the benchmark.
        result: its figures, with `not_measured` if something was left out.
        started: the result of `machine()` before it began.
    """
    shared = started["load_before"][0] > _IDLE_LOAD
    after = {"load_after": _load(), "shared_with_others": shared}
    text = json.dumps(result | {"machine": started | after, "versions": versions()}, indent=1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf8")
    print(text)


def in_process(function: Any, *args: Any) -> Any:
    """Call a function in a separate process, so that its memory is measured alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def _load() -> list[float]:
    """Load averages over 1, 5 and 15 minutes."""
    return [round(load, 1) for load in os.getloadavg()]


def _judged(value: float | None, limit: str, holds: bool) -> dict[str, Any]:
    if value is None:
        return {"ratio": "not measured", "limit": limit}
    return {"ratio": round(value, 3), "limit": limit, "holds": holds}


def _gpus() -> list[str]:
    """Names of NVIDIA GPUs, from the driver's files on Linux."""
    told = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for file in told for line in file.read_text().splitlines()]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]


def _cpuinfo(key: str) -> str:
    """A value of the first core from /proc/cpuinfo; empty if there is none."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
