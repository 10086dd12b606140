"""vLLM's AsyncLLM as an Engine: ids in, final ids out, timings from the engine's own clock."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil

from batchfim.config import Engine as EngineConfig
from batchfim.config import Sampling
from batchfim.engines.engine import (
    STOPPED,
    EngineInfo,
    Generation,
    Request,
    StopCheck,
    Timing,
    take,
)
from batchfim.errors import EngineDead, EngineStartError, RequestRefused, TryAgain

# The prefix cache shares whole blocks only, and vLLM's CPU default of 128 tokens is longer than
# many prompts: 32, the smallest that works there, took the hit rate from 56 % to 75 % and the
# throughput up 1.4 times (HumanEval-Infilling MultiLine, 4M-parameter Llama, two cores).
_CPU_DEFAULTS = {"block_size": 32, "max_num_seqs": 128, "kv_cache_memory_bytes": 1 << 30}
_DEFAULTS = {
    "enable_prefix_caching": True,
    "generation_config": "vllm",  # the model's own sampling defaults must not leak in
    "skip_tokenizer_init": True,  # ids in, ids out
    # Timings and cached tokens come with the statistics, which a logger of one's own keeps on;
    # vLLM's own loggers take 40 µs a record for what nobody reads here.
    "disable_log_stats": True,
    "use_tqdm_on_load": False,
}


class VllmEngine:
    """One vLLM engine: this process holds its front end, a child process its core."""

    def __init__(
        self,
        model: Path,
        config: EngineConfig,
        sampling: Sampling,
        *,
        stop_token_ids: tuple[int, ...],
        max_model_len: int | None,
        trust_remote_code: bool = False,
        shares_cores: bool = False,
    ) -> None:
        """Nothing is started yet.

        Args:
            model: folder with config and weights.
            config: the engine's section.
            sampling: how every middle is drawn.
            stop_token_ids: ids that end a middle.
            max_model_len: context in tokens; None: the model's.
            trust_remote_code: let the model run its own Python code.
            shares_cores: on CPU, other engines may run on the same cores.
        """
        self._model = model
        self._config = config
        self._sampling = sampling
        self._stop_token_ids = list(stop_token_ids)
        self._max_model_len = max_model_len
        self._trust_remote_code = trust_remote_code
        self._shares_cores = shares_cores
        self._llm: Any = None
        self._params: Any = None
        self._step_params: Any = None  # the same, told step by step

    async def start(self) -> EngineInfo:
        """Import vLLM, start the core process and load the model."""
        _set_environment(self._shares_cores)
        return await asyncio.to_thread(self._start)

    async def generate(self, request: Request) -> list[Generation]:
        """Complete one prompt; each sample is a request of its own, so that each is accounted."""
        if self._sampling.n == 1:
            return [await self._sample(request, 0)]
        tasks = [self._sample(request, index) for index in range(self._sampling.n)]
        return list(await asyncio.gather(*tasks))

    async def stop(self) -> None:
        """End the core process."""
        if self._llm is not None:
            llm, self._llm = self._llm, None
            # On the loop's own thread: vLLM's output task must not see the core go before it is
            # cancelled, or it reports a dead engine.
            llm.shutdown()

    def _start(self) -> EngineInfo:
        try:
            import vllm
        except ImportError as error:
            raise EngineStartError(
                f"vLLM cannot be imported ({error}); install batchfim with its cpu or gpu extra"
            ) from error
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.sampling_params import RequestOutputKind, SamplingParams
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        device = str(current_platform.device_type)
        arguments = self._arguments(device)
        _check_names(arguments, {field.name for field in dataclasses.fields(AsyncEngineArgs)})
        if device == "cpu":
            _check_memory(arguments["kv_cache_memory_bytes"])
        try:
            # As `LLM` for batches, not as a server: vLLM then takes larger batches by default.
            self._llm = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**arguments),
                usage_context=UsageContext.LLM_CLASS,
                stat_loggers=[_silent_logger()],
            )
        except Exception as error:  # whatever stops a start is reported as the start's failure
            raise _start_error(error) from error
        self._params = SamplingParams(
            max_tokens=self._sampling.max_tokens,
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            top_k=self._sampling.top_k,
            stop_token_ids=self._stop_token_ids,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,  # nobody changes them once they are handed over
        )
        self._step_params = self._params.clone()
        self._step_params.output_kind = RequestOutputKind.DELTA
        max_num_seqs = int(self._llm.vllm_config.scheduler_config.max_num_seqs)
        return EngineInfo("vllm", vllm.__version__, device, max_num_seqs)

    def _arguments(self, device: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": str(self._model),
            "trust_remote_code": self._trust_remote_code,
            "max_model_len": self._max_model_len,
            **_DEFAULTS,
            **(_CPU_DEFAULTS if device == "cpu" else {}),
        }
        if device == "cpu" and _has_mamba_layers(self._model):
            arguments["enable_prefix_caching"] = False  # with it, vLLM 0.32's core dies there
        if self._config.kv_cache_gib is not None:
            arguments["kv_cache_memory_bytes"] = int(self._config.kv_cache_gib * (1 << 30))
        if device == "cpu" and shutil.which("g++") is None:
            arguments["enforce_eager"] = True  # nothing here can compile what vLLM would write
        return arguments | self._config.args

    async def _sample(self, request: Request, index: int) -> Generation:
        check = request.stop_check()
        params = self._step_params if check else self._params
        if self._sampling.temperature > 0:
            params = params.clone()
            params.seed = request.seed + index
        submitted_s = time.monotonic()
        try:
            prompt = {"type": "token", "prompt_token_ids": request.token_ids}
            # Closing vLLM's generator before its end aborts the request and frees its cache.
            async with aclosing(
                self._llm.generate(prompt, params, f"{request.request_id}-{index}")
            ) as outputs:
                return await read_outputs(outputs, check, submitted_s)
        except Exception as error:  # translated by the table below
            raise _translate(error) from error


async def read_outputs(
    outputs: AsyncIterator[Any], check: StopCheck | None, submitted_s: float
) -> Generation:
    """Read vLLM's outputs of one sample to their end, or to where the check ends it.

    Args:
        outputs: one `RequestOutput` with all ids or, where there is a check, one for each step.
        check: the sample's.
        submitted_s: when the request was handed over, on the monotonic clock.
    """
    token_ids: list[int] = []
    stopped = False
    async for output in outputs:
        taken, stopped = take(output.outputs[0].token_ids, check)
        token_ids += taken
        if stopped:
            break
    finish_reason = STOPPED if stopped else str(output.outputs[0].finish_reason)
    if finish_reason not in (STOPPED, "stop", "length"):
        raise TryAgain(f"vLLM ended the request with {finish_reason!r}")
    return _generation(output, token_ids, finish_reason, submitted_s)


def _generation(
    output: Any, token_ids: list[int], finish_reason: str, submitted_s: float
) -> Generation:
    stats = output.metrics
    num_later_tokens = len(token_ids) - 1
    return Generation(
        token_ids=token_ids,
        finish_reason=finish_reason,
        prompt_tokens=len(output.prompt_token_ids),
        cached_tokens=output.num_cached_tokens or 0,
        timing=Timing(
            queue_s=max(stats.scheduled_ts - submitted_s, 0.0),
            ttft_s=stats.first_token_ts - submitted_s,
            latency_s=stats.last_token_ts - submitted_s,
            tpot_s=(stats.last_token_ts - stats.first_token_ts) / num_later_tokens
            if num_later_tokens > 0
            else None,
        ),
    )


def _translate(error: Exception) -> Exception:
    """vLLM's errors to ours (`vllm/exceptions.py`, `vllm/v1/engine/exceptions.py`)."""
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    table: tuple[tuple[type[Exception], type[Exception]], ...] = (
        (EngineDeadError, EngineDead),
        (VLLMClientError, RequestRefused),
        (Exception, TryAgain),
    )
    ours = next(ours for theirs, ours in table if isinstance(error, theirs))
    return ours(f"{type(error).__name__}: {error}")


def _start_error(error: Exception) -> EngineStartError:
    text = f"{type(error).__name__}: {error}".strip()
    return EngineStartError(
        f"vLLM did not start: {text}; what its core process said is in the log above; if it was "
        "memory, lower engine.kv_cache_gib or engine.max_model_len"
    )


def _silent_logger() -> Any:
    from vllm.v1.metrics.loggers import StatLoggerBase

    class SilentLogger(StatLoggerBase):  # type: ignore[misc]  # vLLM is not typed for us
        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            pass

        def record(self, *_args: Any, **_kwargs: Any) -> None:
            pass

        def log_engine_initialized(self) -> None:
            pass

    return SilentLogger


def _check_names(arguments: dict[str, Any], known: set[str]) -> None:
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise EngineStartError(f"engine.args.{name}: this vLLM has no such argument{hint}")


def _has_mamba_layers(model: Path) -> bool:
    """Whether the model is of Mamba layers, some or all (Granite 4, Falcon-H1)."""
    config: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf8"))
    return any(key.startswith("mamba_") for key in config)


def _check_memory(kv_cache_bytes: int) -> None:
    """Before the model is loaded: the core would say the same half a minute later, in its log."""
    available = psutil.virtual_memory().available
    if kv_cache_bytes > available:
        raise EngineStartError(
            f"too little memory: the KV cache is to have {kv_cache_bytes / (1 << 30):.1f} GiB and "
            f"{available / (1 << 30):.1f} GiB are free; lower engine.kv_cache_gib or the number of "
            "workers on a machine"
        )


def _set_environment(shares_cores: bool) -> None:
    """Set before vLLM is imported: nobody is told of a run, and only errors reach the log."""
    if shares_cores:  # each engine would bind its threads to the machine's first cores
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
