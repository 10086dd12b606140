"""Choose and build a job's engine."""

from __future__ import annotations

import logging

from batchfim.config import JobConfig
from batchfim.config.vllm_names import check_names
from batchfim.engines.engine import Engine
from batchfim.engines.simulated import SimulatedEngine
from batchfim.engines.transformers.args import read_args
from batchfim.engines.transformers.engine import Task, TransformersEngine
from batchfim.engines.vllm.engine import VllmEngine
from batchfim.errors import ConfigError, ModelError
from batchfim.formats.format import Format
from batchfim.formats.prompt_encoder import PromptEncoder
from batchfim.models.infiller import Infiller, open_infiller

_log = logging.getLogger(__name__)


def resolve_job(config: JobConfig) -> tuple[JobConfig, Infiller]:
    """Decide what a job leaves to its model, the engine and the revisions, and log its warnings.

    Returns:
        the job as every worker runs it, and its infiller, without weights.

    Raises:
        ConfigError, ModelError: as `open_infiller` and `resolve_engine` say.
    """
    infiller = open_infiller(config, weights=False)
    for warning in infiller.warnings:
        _log.warning("model %s: %s", config.model.path, warning)
    return resolve_engine(infiller.pin_revision(config), infiller.encoder.form), infiller


def resolve_engine(config: JobConfig, form: Format) -> JobConfig:
    """The job with `engine.backend` resolved: vLLM if it supports the model's format.

    Raises:
        ConfigError: the backend cannot run such a model, or does not know an argument.
    """
    backend = config.engine.backend
    if backend == "auto":
        backend = form.engine
    if backend == "vllm" and form.task != "causal":
        raise ConfigError(
            f"engine.backend vllm: family {form.family} is not a left-to-right model; leave "
            "engine.backend unset, or set it to transformers"
        )
    if backend == "transformers":
        read_args(config.engine.args)
        if config.model.adapters:
            raise ConfigError(
                "model.lora, model.loras: the Transformers engine does not support adapters; leave "
                "them unset"
            )
    if backend == "vllm":
        check_names(config.engine.args)
    engine = config.engine.model_copy(update={"backend": backend})
    return config.model_copy(update={"engine": engine})


def build_engine(config: JobConfig, infiller: Infiller) -> Engine:
    """Build the job's engine, without starting it.

    Raises:
        ConfigError: as `resolve_engine`.
        ModelError: the layout of a masked model has no mask.
    """
    config = resolve_engine(config, infiller.encoder.form)
    stop_token_ids = infiller.encoder.stop_token_ids
    if config.engine.backend == "simulated":
        return SimulatedEngine(
            config.engine.simulated,
            config.sampling,
            stop_token_ids=stop_token_ids,
            decode=infiller.tokenizer.decode,
        )
    if config.engine.backend == "transformers":
        return TransformersEngine(
            infiller.files.path,
            _task(infiller.encoder),
            read_args(config.engine.args),
            config.sampling,
            max_model_len=infiller.max_model_len,
            trust_remote_code=config.model.trust_remote_code,
        )
    return VllmEngine(
        infiller.files.path,
        config.engine,
        config.sampling,
        stop_token_ids=stop_token_ids,
        max_model_len=infiller.max_model_len,
        adapters=infiller.adapters,
        trust_remote_code=config.model.trust_remote_code,
        num_engines=config.schedule.workers.max,
        num_nodes=config.resources.nodes_per_worker,
    )


def _task(encoder: PromptEncoder) -> Task:
    form, mask_id = encoder.form, _mask_id(encoder)
    if form.task == "masked" and mask_id is None:
        raise ModelError(
            f"family {form.family}, order {encoder.order}: a masked model's layout needs its mask, "
            "once or several times, between prefix and suffix, and nothing else there"
        )
    return Task(form.task, encoder.stop_token_ids, mask_id)


def _mask_id(encoder: PromptEncoder) -> int | None:
    """The token that stands, perhaps repeated, for the middle; None if there is no single one."""
    pieces = encoder.pieces("prefix", "suffix")
    kinds = [piece.kind for piece in pieces]
    if "prefix" not in kinds or "suffix" not in kinds:
        return None
    between = pieces[kinds.index("prefix") + 1 : kinds.index("suffix")]
    token_ids = {token_id for piece in between for token_id in piece.token_ids}
    return token_ids.pop() if len(token_ids) == 1 else None
