"""The few settings that matter for bulk infilling, by engine and device."""

from __future__ import annotations

from batchfim.config import JobConfig
from batchfim.config.plain_yaml import parse_yaml
from batchfim.errors import ConfigError
from batchfim.tuning.search import Knob

_VLLM_CPU = (
    Knob("engine.args.block_size", (64, 128)),
    Knob("engine.args.max_num_seqs", (64, 256)),
    Knob("engine.args.max_num_batched_tokens", (2048, 8192)),
    Knob("engine.kv_cache_gib", (4.0,)),
)
_VLLM_GPU = (
    Knob("engine.args.max_num_seqs", (256, 512, 2048)),
    Knob("engine.args.max_num_batched_tokens", (8192, 32768)),
    Knob("engine.args.gpu_memory_utilization", (0.95,)),
)
_OTHERS = {
    "transformers": (Knob("engine.args.max_batch_tokens", (4096, 65536)),),
    "simulated": (Knob("engine.simulated.max_num_seqs", (16, 256)),),
}


def default_knobs(config: JobConfig, *, on_gpu: bool) -> tuple[Knob, ...]:
    """The knobs tried by default, with values besides the engine's own defaults.

    Args:
        config: the job, with its backend resolved.
        on_gpu: whether vLLM runs on a GPU.
    """
    return _OTHERS.get(config.engine.backend, _VLLM_GPU if on_gpu else _VLLM_CPU)


def parse_knob(text: str) -> Knob:
    """Parse `section.key=value,value`, with the values as in a YAML list.

    Raises:
        ConfigError: the text does not have this form.
    """
    key, separator, values = text.partition("=")
    if not separator or not key.strip() or not values.strip():
        raise ConfigError(f"--knob {text!r}: expected section.key=value,value")
    try:
        return Knob(key.strip(), tuple(parse_yaml(f"[{values}]")))
    except ConfigError as error:
        raise ConfigError(f"--knob {text!r}: {error}") from None
