"""How fast a model was in a run, and how long its middles were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchfim.accounts.summing import summary_now
from batchfim.errors import ConfigError
from batchfim.forecast.estimate import Estimate, ratio
from batchfim.report.time_use import time_use
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location

# What two runs alike differ by, relative standard errors.
_LEAST_ERROR = 0.1
_BEFORE_ERROR = 0.15


@dataclass(frozen=True)
class Speed:
    """What a run tells of the next one on the same model and device.

    A worker takes `prefill_s` for each prompt token it computes and `decode_s` for each token it
    generates; what else it does while it is up makes that `slack` times as long. `error` is the
    relative standard error of all this. `before_s` is what a run takes besides, most of it engine
    start.
    """

    source: str
    device: str
    prefill_s: float
    decode_s: float
    slack: float
    error: float
    before_s: Estimate
    completion_tokens: Estimate  # per row that is generated

    def worker_seconds(self, computed: Estimate, completion: Estimate) -> Estimate:
        """To compute and generate so many tokens."""
        work = computed.value * self.prefill_s + completion.value * self.decode_s
        parts = (
            computed.value * self.prefill_s * computed.error,
            completion.value * self.decode_s * completion.error,
        )
        error = sum(parts) / work if work else 0.0
        return Estimate(work * self.slack, math.hypot(error, self.error))


def speed_of(output: str, digest: str, backend: str) -> Speed:
    """The speed of the job at a path or URL.

    Args:
        output: of a job that worked something.
        digest: of the model it must have been.
        backend: the engine that must have worked it.

    Raises:
        OutputError: no job is there.
        ConfigError: it worked nothing, or with another model or engine.
    """
    ledger = Ledger(Location.of(output))
    done = ledger.done()
    summary, shards = summary_now(ledger, done), ledger.shards()
    runs = [run for run in summary["runs"] if run["records"]]
    if summary["model"]["digest"] != digest:
        raise ConfigError(f"{output} was worked with another model: its speed tells nothing here")
    if (other := summary["engine"]["backend"]) != backend:
        raise ConfigError(
            f"{output} was worked by the {other} engine: its speed tells nothing of {backend}"
        )
    used = time_use(shards, runs)
    computed, completion = _tokens(shards)
    prefill_s, decode_s = used["prefill"] / max(computed, 1), used["decode"] / max(completion, 1)
    asked_s = sum(_asked_s(run, prefill_s, decode_s) for run in runs)
    if not completion or not asked_s:
        raise ConfigError(f"{output} tells no speed: no run of it that ended has completed a row")
    return Speed(
        source=output,
        device=next((start["device"] for run in runs for start in run["engines"]), ""),
        prefill_s=prefill_s,
        decode_s=decode_s,
        slack=max(sum(run["worker_s"] for run in runs) / asked_s, 1.0),
        error=_spread(shards, prefill_s, decode_s),
        before_s=Estimate(
            sum(run["total_s"] - run["regroup_s"] - run["run_s"] for run in runs) / len(runs),
            _BEFORE_ERROR,
        ),
        completion_tokens=_completion_tokens(shards),
    )


def _tokens(shards: pa.Table) -> tuple[int, int]:
    """Computed and generated in the shards that are there."""
    prompt, cached, completion = (
        pc.sum(shards[name]).as_py() or 0
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
    )
    return prompt - cached, completion


def _asked_s(run: Mapping[str, Any], prefill_s: float, decode_s: float) -> float:
    """What a run's own tokens ask of its engines; shards that were replaced since are in it."""
    rates = run["tokens_per_s"]
    per_s = (rates["computed"] or 0.0) * prefill_s + (rates["completion"] or 0.0) * decode_s
    return float(per_s * run["run_s"])


def _spread(shards: pa.Table, prefill_s: float, decode_s: float) -> float:
    """Standard error of the speed, as single shards took more or less than their tokens ask."""
    took, prompt, cached, completion = (
        np.asarray(shards[name].to_numpy(), np.float64)
        for name in ("generate_s", "prompt_tokens", "cached_tokens", "completion_tokens")
    )
    asked = (prompt - cached) * prefill_s + completion * decode_s
    return max(ratio(took.tolist(), asked.tolist(), sampled=0.0).error, _LEAST_ERROR)


def _completion_tokens(shards: pa.Table) -> Estimate:
    """Of a generated row, with the error that shards tell: neighbours have middles alike."""
    tokens, ok, copied = (
        np.asarray(shards[name].to_numpy(), np.float64)
        for name in ("completion_tokens", "ok", "copied")
    )
    return ratio(tokens.tolist(), (ok - copied).tolist(), sampled=0.0)
