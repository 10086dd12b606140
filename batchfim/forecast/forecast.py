"""Predict what a job will take: rows, tokens, hours and cost, with warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchfim.config import JobConfig
from batchfim.forecast.estimate import Estimate, ratio, total
from batchfim.forecast.sample import OWN, Sample
from batchfim.forecast.speed import Speed


def forecast(
    config: JobConfig,
    sample: Sample,
    *,
    identity: str,
    num_shards: int,
    done: Mapping[str, Any],
    devices: float,
    speed: Speed | None,
    price: float | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The forecast, as stored in `forecast.json`.

    Every estimate is a `value` with a 95 % interval from `low` to `high`, for the uncertainty of
    the sample and the speed.

    Args:
        config: the job.
        sample: the encoded sample.
        identity: the result of `forecast_identity`.
        num_shards: number of shards that are left.
        done: what was done before, as in `left.Left`; everything else is of what is left.
        devices: GPUs per worker, possibly a fraction; 1 on CPU.
        speed: the speed of an earlier run; None: not known, so no hours are predicted.
        price: price of a GPU-hour (on CPU, of a worker-hour), in any currency.
        warnings: warnings to include.
    """
    tokens, basis = _tokens(config, sample, speed)
    blocks = sample.blocks
    return {
        "version": 1,
        "identity": identity,
        "sample": {
            "rows": sample.rows,
            "of": sample.of_rows,
            "blocks": len(blocks),
            "seed": sample.seed,
        },
        "done": dict(done),
        "rows": sample.of_rows * config.sampling.n,
        "shards": num_shards,
        "workers": config.schedule.workers.max,
        "prompt_tokens": sample.prompt_tokens().summary(),
        "shares": {
            name: _share(sample, [getattr(block, name) for block in blocks])
            for name in ("truncated", "normalized", "copied")
        }
        | {"refused": _share(sample, [block.refused.total() for block in blocks])},
        "refused": dict(sample.refused),
        "sharing": _sharing(sample),
        "tokens": {name: estimate.plain() for name, estimate in tokens.items()},
        "completion_basis": basis,
        "speed": speed and {"source": speed.source, "device": speed.device},
        "time": speed and _time(config, tokens, speed, price, num_shards, devices),
        "warnings": list(warnings),
    }


def _tokens(
    config: JobConfig, sample: Sample, speed: Speed | None
) -> tuple[dict[str, Estimate], str]:
    """Tokens of the whole job by kind, and the source of the completion length."""
    samples, blocks = config.sampling.n, sample.blocks
    ways = [block.ways[OWN] for block in blocks]
    prompt = _scaled(sample, [way.prompt_tokens for way in ways])
    computed = _scaled(sample, [way.computed_tokens for way in ways])
    generated = _scaled(sample, [block.ok - block.copied for block in blocks]).scaled(samples)
    references = [block.reference_tokens for block in blocks]
    if speed is not None:
        completion, basis = generated.times(speed.completion_tokens), "the run that gave the speed"
    elif None not in references:
        lengths = [float(tokens or 0) for tokens in references]
        completion, basis = _scaled(sample, lengths).scaled(samples), "middle_reference"
    else:
        most = config.sampling.max_tokens
        completion, basis = generated.scaled(most), "sampling.max_tokens (the maximum)"
    return {"prompt": prompt, "computed": computed, "completion": completion}, basis


def _scaled(sample: Sample, amounts: Sequence[float]) -> Estimate:
    """Extrapolate an amount from the sampled blocks to all rows."""
    rows = [float(block.rows) for block in sample.blocks]
    return ratio(list(map(float, amounts)), rows, sample.share).scaled(sample.of_rows)


def _share(sample: Sample, counts: Sequence[int]) -> dict[str, float]:
    """The share of rows; if none of those sampled counts, at most 3 of as many may (rule of three).

    Source: Hanley and Lippman-Hand 1983, for rows that are independent.
    """
    rows = [float(block.rows) for block in sample.blocks]
    share = ratio(list(map(float, counts)), rows, sample.share).plain()
    num_rows = sum(rows)
    if num_rows and share["value"] == 0 and sample.share < 1:
        share["high"] = 3 / num_rows
    return share | {"high": min(share["high"], 1.0)}


def _sharing(sample: Sample) -> list[dict[str, Any]]:
    """The shares of distinct and computed tokens and the cut tokens, for each way to encode."""
    found = []
    for name in sample.blocks[0].ways if sample.blocks else ():
        ways = [block.ways[name] for block in sample.blocks]
        prompt = sum(way.prompt_tokens for way in ways)
        rows = sum(block.ok for block in sample.blocks)
        found.append(
            {
                "way": name,
                "distinct_over_total": _over(sum(way.distinct_tokens for way in ways), prompt),
                "computed_over_total": _over(sum(way.computed_tokens for way in ways), prompt),
                "cut_tokens_per_row": _over(sum(way.cut_tokens for way in ways), rows),
            }
        )
    return found


def _over(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _time(
    config: JobConfig,
    tokens: dict[str, Estimate],
    speed: Speed,
    price: float | None,
    num_shards: int,
    devices: float,
) -> dict[str, Any]:
    workers = config.schedule.workers.max
    work = speed.worker_seconds(tokens["computed"], tokens["completion"])
    working = work.scaled(1 / min(workers, num_shards))
    wall = total([working, speed.before_s])
    hours = wall.scaled(workers * devices / 3600)
    return {
        "before_s": speed.before_s.plain(),
        "run_s": working.plain(),
        "wall_s": wall.plain(),
        "gpu_hours": hours.plain(),
        "cost": None if price is None else hours.scaled(price).plain(),
    }
