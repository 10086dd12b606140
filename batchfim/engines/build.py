"""The engine a job asks for."""

from __future__ import annotations

from batchfim.config import JobConfig
from batchfim.engines.engine import Engine
from batchfim.engines.simulated import SimulatedEngine
from batchfim.engines.vllm import VllmEngine
from batchfim.infiller import Infiller


def build_engine(config: JobConfig, infiller: Infiller) -> Engine:
    """An engine that is not started yet."""
    stop_token_ids = infiller.encoder.stop_token_ids
    if config.engine.backend == "simulated":
        return SimulatedEngine(
            config.engine.simulated,
            config.sampling,
            stop_token_ids=stop_token_ids,
            decode=infiller.tokenizer.decode,
        )
    return VllmEngine(
        infiller.files.path,
        config.engine,
        config.sampling,
        stop_token_ids=stop_token_ids,
        max_model_len=infiller.max_model_len,
        trust_remote_code=config.model.trust_remote_code,
        shares_cores=config.schedule.workers > 1,
    )
