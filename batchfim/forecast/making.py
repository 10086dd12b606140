"""Plan a job: encode a sample, measure the speed if asked, and make the forecast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchfim.cluster.capacity import num_gpus
from batchfim.config import JobConfig
from batchfim.engines.vllm.args import cache_block_tokens
from batchfim.errors import ConfigError, InputError, Interrupted
from batchfim.forecast.cautions import cautions
from batchfim.forecast.forecast import forecast
from batchfim.forecast.left import Left
from batchfim.forecast.sample import OWN, Encoders, Sample, encode_sample
from batchfim.forecast.speed import Speed, speed_of
from batchfim.formats.format import AUTO
from batchfim.formats.prompt_encoder import PromptEncoder
from batchfim.models.infiller import Infiller, open_infiller
from batchfim.runs.claiming import forecast_identity
from batchfim.storage.inputs import InputSet
from batchfim.storage.stores import extended
from batchfim.terminal import busy, counted
from batchfim.tuning.sample import choose_in
from batchfim.tuning.trial import RunJob, enough_rows, sampled, trial_config

_BLOCK_ROWS = 256  # sharing between neighbors is seen within this many rows
_FEWEST_BLOCKS = 6  # with fewer, intervals are too wide to be useful
_CALIBRATION_BLOCK_ROWS = 16  # small blocks from many places, as neighbors have similar middles
_ALIGN = 256  # tokens, to show the effect of `infill.truncation.align`


def make_forecast(
    config: JobConfig,
    left: Left,
    infiller: Infiller,
    *,
    sample_rows: int,
    seed: int,
    price: float | None,
    speed: Speed | None,
) -> dict[str, Any]:
    """Read and encode a sample, and predict what the job will take.

    Args:
        config: the job, with its engine and revisions resolved.
        left: what of it a run would process.
        infiller: its infiller.
        sample_rows: rows to read, in blocks of adjacent rows.
        seed: random seed of the sample.
        price: price of a GPU-hour.
        speed: the speed, if known.

    Raises:
        InputError: a file is damaged.
    """
    most_rows = max((shard.num_rows for shard in left.shards), default=1)
    block_rows = min(_BLOCK_ROWS, most_rows, -(-sample_rows // _FEWEST_BLOCKS))
    places = choose_in(left.spans, sample_rows, seed, block_rows)
    encoders = _ways(config, infiller)
    blocks = encode_sample(
        config, left.inputs, places, infiller, encoders, cache_block=_cache_block(config)
    )
    shown = counted(blocks, "blocks of the sample", len(places))
    sample = Sample(list(shown), left.num_rows, seed)
    files = list({file.path: file for file, _, _ in left.spans}.values())
    warnings = cautions(config, sample, files, left.shards, infiller.max_model_len)
    return forecast(
        config,
        sample,
        identity=forecast_identity(config, infiller.files.digest()),
        num_shards=len(left.shards),
        done=left.done,
        devices=num_gpus(config) or 1.0,
        speed=speed if left.shards else None,  # otherwise no engine starts
        price=price,
        warnings=[*left.refusals, *warnings],
    )


def calibrate(
    config: JobConfig,
    inputs: InputSet,
    digest: str,
    *,
    rows: int | None,
    seed: int,
    run_job: RunJob,
) -> Speed:
    """Measure the speed with a short job by one worker, on its own sample; discards the output.

    Raises:
        InputError: there are no rows, or no row of the sample was completed.
        others: as `run_job`; Interrupted: a signal ended it.
    """
    rows = rows or enough_rows(config) // 4
    with sampled(config, inputs, rows, seed, _CALIBRATION_BLOCK_ROWS) as (folder, sample):
        output = extended(folder, "/out")
        with busy("measuring the speed with a short run"):
            result = run_job(trial_config(config, {}, sample, output))
        if result.signal is not None:
            raise Interrupted(f"calibration was ended by signal {result.signal}")
        num_rows = result.summary["records"]
        if not result.summary["rows"]["ok"]:
            raise InputError("calibration: no row of the sample was completed; see `batchfim run`")
        return replace(
            speed_of(output, digest, config.engine.backend),
            source=f"a calibration on {num_rows:,} rows",
        )


def _cache_block(config: JobConfig) -> int | None:
    if config.engine.backend != "vllm":
        return None
    return cache_block_tokens(config.engine.args, on_gpu=num_gpus(config) > 0)


def _ways(config: JobConfig, infiller: Infiller) -> Encoders:
    """The encoders to compare: own, other orders the family was trained on alike, aligned cuts."""
    form = infiller.encoder.form
    changes: dict[str, dict[str, Any]] = {}
    if len(form.alike) > 1:
        for order in (*form.alike, AUTO):
            if order != infiller.encoder.order:
                changes[f"infill.order: {order}"] = {"order": order}
    if config.infill.truncation.enabled and not config.infill.truncation.align:
        truncation = config.infill.truncation.model_copy(update={"align": _ALIGN})
        changes[f"infill.truncation.align: {_ALIGN}"] = {"truncation": truncation}
    others = {name: _encoder(config, infill) for name, infill in changes.items()}
    return {OWN: infiller.encoder} | {name: other for name, other in others.items() if other}


def _encoder(config: JobConfig, infill: dict[str, Any]) -> PromptEncoder | None:
    """The encoder with some `infill` settings changed, or None if they do not fit the context."""
    changed = config.model_copy(update={"infill": config.infill.model_copy(update=infill)})
    try:
        return open_infiller(changed, weights=False).encoder
    except ConfigError:
        return None
