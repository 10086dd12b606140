"""vLLM's LLMEngine as an Engine: token ids in, token ids out, with the engine's own timings."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from batchfim.config import Sampling
from batchfim.config.engine import Engine as EngineConfig
from batchfim.engines.cpu import MODEL_IN_CORE, share_cores
from batchfim.engines.engine import Drafts, EngineInfo, Generation, Request
from batchfim.engines.vllm.args import check_memory, engine_arguments, set_environment
from batchfim.engines.vllm.core_log import CoreLog
from batchfim.engines.vllm.outputs import SampleSoFar, start_error
from batchfim.engines.vllm.stats import StepCounts, loggers
from batchfim.engines.vllm.steps import PendingSample, Stepper
from batchfim.errors import EngineDead, EngineStartError
from batchfim.models.adapters import Adapter


class VllmEngine:
    """One vLLM engine, with its front end in this process and its core in a child process."""

    def __init__(
        self,
        model: Path,
        config: EngineConfig,
        sampling: Sampling,
        *,
        stop_token_ids: tuple[int, ...],
        max_model_len: int | None,
        adapters: Mapping[str, Adapter] | None = None,
        trust_remote_code: bool = False,
        num_engines: int = 1,
        num_nodes: int = 1,
    ) -> None:
        """Create the engine without starting it.

        Args:
            model: folder with config and weights.
            config: the config section `engine`.
            sampling: sampling of all middles.
            stop_token_ids: ids that end a middle.
            max_model_len: context length in tokens; None: the model's own.
            adapters: LoRA adapters by the names used in requests.
            trust_remote_code: allow the model's own Python code to run.
            num_engines: engines of the job, which may share this machine's cores on CPU.
            num_nodes: Ray nodes that the model is spread over.
        """
        self._model = model
        self._config = config
        self._sampling = sampling
        self._seeded = sampling.temperature > 0
        self._stop_token_ids = list(stop_token_ids)
        self._max_model_len = max_model_len
        self._adapters = adapters or {}
        self._trust_remote_code = trust_remote_code
        self._num_engines = num_engines
        self._num_nodes = num_nodes
        self._counts = StepCounts()
        self._core_log = CoreLog()
        self._stepper: Stepper | None = None
        self._numbers = count()
        self._params: Any = None
        self._step_params: Any = None  # the same, with outputs after each step
        self._loras: dict[str | None, Any] = {None: None}

    @property
    def num_steps(self) -> int:
        """Steps of the core, whose first answer comes only after it prefilled all that fits."""
        return self._counts.num_steps

    async def start(self) -> EngineInfo:
        """Import vLLM, start the core process and load the model."""
        set_environment()
        llm, info = await asyncio.to_thread(self._start)
        self._stepper = Stepper(llm, _stop_s(llm), self._core_log.why_ended)
        return info

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt; each sample is its own request, to have its own counts and times."""
        if self._sampling.n == 1:
            return [await self._sample(request, 0)]
        tasks = [asyncio.create_task(self._sample(request, i)) for i in range(self._sampling.n)]
        try:
            return await asyncio.gather(*tasks)
        finally:  # if one failed, all are retried: end the others in vLLM before that
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def take_drafts(self) -> Drafts:
        """Drafts that vLLM has reported since the last call."""
        return self._counts.take()

    async def stop(self) -> None:
        """Stop the engine and its core process."""
        if self._stepper is not None:
            stepper, self._stepper = self._stepper, None
            await stepper.stop()
            _cache_environment(enabled=False)
            gc.unfreeze()

    def _start(self) -> tuple[Any, EngineInfo]:
        try:
            import vllm
        except ImportError as error:
            raise EngineStartError(
                f"vLLM cannot be imported ({error}); install batchfim with its cpu or gpu extra"
            ) from error
        from vllm.platforms import current_platform

        device = str(current_platform.device_type)
        llm = self._open(device)
        _cache_environment(enabled=True)
        # vLLM and torch hold a million permanent objects, which every full collection, triggered by
        # the turnover of requests, would otherwise traverse.
        gc.collect()
        gc.freeze()
        self._loras |= _lora_requests(self._adapters)
        self._params = self._sampling_params()
        self._step_params = self._sampling_params(step_by_step=True)
        took = llm.vllm_config
        dtype = str(took.model_config.dtype).removeprefix("torch.")
        most = took.scheduler_config.max_num_seqs
        return llm, EngineInfo("vllm", vllm.__version__, device, most, dtype)

    def _open(self, device: str) -> Any:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        if device == "cpu":
            share_cores(self._num_engines, self._config.num_devices)
        arguments = engine_arguments(
            self._model,
            self._config,
            device,
            max_model_len=self._max_model_len,
            trust_remote_code=self._trust_remote_code,
            seeded=self._seeded,
            adapters=self._adapters.values(),
            num_nodes=self._num_nodes,
        )
        if device == "cpu":
            check_memory(arguments)
        arguments |= self._core_log.argument(arguments)
        try:
            # vLLM's defaults depend on the usage context: with that of `LLM`, they are 16,384
            # batched tokens and 1,024 sequences on an H100, and 8,192 and 256 on smaller GPUs;
            # without one, the smallest (vLLM 0.32, `vllm/engine/arg_utils.py`,
            # `get_batch_defaults`).
            llm = LLMEngine.from_engine_args(
                EngineArgs(**arguments),
                usage_context=UsageContext.LLM_CLASS,
                stat_loggers=loggers(self._counts),
                enable_multiprocessing=True,
            )
            # vLLM caches the answer. Otherwise it would ask with the first request, and wait
            # forever if the core had died in the meantime.
            llm.get_supported_tasks()
            return llm
        except Exception as error:  # any error here is reported as a failed start
            raise start_error(error, self._core_log.last_error()) from error
        finally:
            self._core_log.drop_name()

    def _sampling_params(self, *, step_by_step: bool = False) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        kind = RequestOutputKind.DELTA if step_by_step else RequestOutputKind.FINAL_ONLY
        return SamplingParams(
            max_tokens=self._sampling.max_tokens,
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            top_k=self._sampling.top_k,
            stop_token_ids=self._stop_token_ids,
            logprobs=None if self._sampling.logprobs == "none" else 0,  # 0: the sampled token's
            flat_logprobs=True,  # one list, not a dictionary per token
            detokenize=False,
            output_kind=kind,
            skip_clone=True,  # they are not modified after they are handed over
        )

    async def _sample(self, request: Request, index: int) -> Generation:
        check = request.stop_check()
        params = self._step_params if check else self._params
        if self._seeded:
            params = params.clone()
            params.seed = request.seed + index
        sample = PendingSample(
            # The number keeps ids unique if a shard is retried while its first attempt still ends.
            f"{request.request_id}-{index}-{next(self._numbers)}",
            request.token_ids,
            params,
            SampleSoFar(check, time.monotonic()),
            self._loras[request.adapter],
        )
        if self._stepper is None:
            raise EngineDead("the engine was stopped")
        return await self._stepper.answer(sample)


def _stop_s(llm: Any) -> float | None:
    """Seconds that vLLM waits for its core to end before killing it; None: vLLM's default of 5.

    A core with the model in its own process has nothing to release but memory, and cleaning up
    takes it longer than that.
    """
    executor = llm.vllm_config.parallel_config.distributed_executor_backend
    return 0.0 if executor == MODEL_IN_CORE else None


def _cache_environment(*, enabled: bool) -> None:
    """Make vLLM read its environment variables only once: its front end reads one for each token.

    Its core does the same once it is up; an engine that starts later reads them again.
    """
    from vllm import envs

    (envs.enable_envs_cache if enabled else envs.disable_envs_cache)()


def _lora_requests(adapters: Mapping[str, Adapter]) -> dict[str | None, Any]:
    from vllm.lora.request import LoRARequest

    return {
        name: LoRARequest(name, number, str(adapter.path))
        for number, (name, adapter) in enumerate(adapters.items(), 1)
    }
