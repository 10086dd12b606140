"""The speed of a model in an earlier run, and the length of its middles."""

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
from batchfim.metrics.time_use import time_use
from batchfim.storage.ledger import Ledger

# Relative standard errors by which two equal runs differ.
_LEAST_ERROR = 0.1
_BEFORE_ERROR = 0.15


@dataclass(frozen=True)
class Speed:
    """The speed to expect of the next run on the same model and device.

    A worker takes `prefill_s` for each prompt token it computes and `decode_s` for each token it
    generates; everything else it does while it is up makes this `slack` times as long. `error` is
    the relative standard error of all this. `before_s` is the additional time of a run, most of it
    engine start.
    """

    source: str
    device: str
    prefill_s: float
    decode_s: float
    slack: float
    error: float
    before_s: Estimate
    completion_tokens: Estimate  # per generated row

    def worker_seconds(self, computed: Estimate, completion: Estimate) -> Estimate:
        """Worker seconds to compute and generate this many tokens."""
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
        output: output of a job that has completed rows.
        digest: digest of the model it must have used.
        backend: the engine it must have used.

    Raises:
        OutputError: there is no job.
        ConfigError: the job completed nothing, or used another model or engine.
    """
    ledger = Ledger.at(output)
    done = ledger.done()
    summary, shards = summary_now(ledger, done), ledger.shards()
    runs = [run for run in summary["runs"] if run["records"]]
    if summary["model"]["digest"] != digest:
        raise ConfigError(
            f"{output} used another model, so its speed does not apply here; give the output of a "
            "job on the same model"
        )
    if (other := summary["engine"]["backend"]) != backend:
        raise ConfigError(
            f"{output} used the {other} engine, so its speed does not apply to {backend}; give the "
            "output of a job on the same engine"
        )
    used = time_use(shards, runs)
    computed, completion = _tokens(shards)
    prefill_s, decode_s = used["prefill"] / max(computed, 1), used["decode"] / max(completion, 1)
    asked_s = sum(_asked_s(run, prefill_s, decode_s) for run in runs)
    if not completion or not asked_s:
        raise ConfigError(f"{output} has no speed to use: no finished run of it completed a row")
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
    """Computed and generated tokens of the committed shards."""
    prompt, cached, completion = (
        pc.sum(shards[name]).as_py() or 0
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
    )
    return prompt - cached, completion


def _asked_s(run: Mapping[str, Any], prefill_s: float, decode_s: float) -> float:
    """Engine seconds for a run's own tokens, including shards that were replaced since."""
    rates = run["tokens_per_s"]
    per_s = (rates["computed"] or 0.0) * prefill_s + (rates["completion"] or 0.0) * decode_s
    return float(per_s * run["run_s"])


def _spread(shards: pa.Table, prefill_s: float, decode_s: float) -> float:
    """Relative standard error of the speed, from each shard's time against that for its tokens."""
    took, prompt, cached, completion = (
        np.asarray(shards[name].to_numpy(), np.float64)
        for name in ("generate_s", "prompt_tokens", "cached_tokens", "completion_tokens")
    )
    asked = (prompt - cached) * prefill_s + completion * decode_s
    return max(ratio(took.tolist(), asked.tolist(), sampled=0.0).error, _LEAST_ERROR)


def _completion_tokens(shards: pa.Table) -> Estimate:
    """Completion tokens per generated row, with the error over shards, as neighbors are similar."""
    tokens, ok, copied = (
        np.asarray(shards[name].to_numpy(), np.float64)
        for name in ("completion_tokens", "ok", "copied")
    )
    return ratio(tokens.tolist(), (ok - copied).tolist(), sampled=0.0)
