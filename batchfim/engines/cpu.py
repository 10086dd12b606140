"""Settings of engines on CPU that depend on the machine: cores, processes and dtype."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# vLLM binds a lone engine's threads to the first NUMA node, to all its cores but one, which is left
# to the front end. The front end takes 3 % of the engine's own CPU time (`benchmarks.overhead`), so
# on up to eight cores that core is worth more to the engine: using both of two cores made 1.6 times
# the records/s (`benchmarks.engine_defaults`).
_FEW_CORES = 8
# Even for a single part, vLLM starts a separate process for the model, where it can bind threads.
MODEL_IN_CORE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


def cores_here() -> int:
    """Number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(num_cores: int, num_processes: int, num_machines: int = 1) -> int:
    """Threads per compute process, with processes spread evenly over equal machines.

    Args:
        num_cores: cores of one machine.
        num_processes: compute processes on all machines.
        num_machines: number of machines.
    """
    on_one = -(-num_processes // max(num_machines, 1))
    return max(num_cores // max(on_one, 1), 1)


def share_cores(num_engines: int, num_parts: int) -> None:
    """Set the threads of the engine's processes, which start later, through the environment.

    Variables that are already set are kept.

    Args:
        num_engines: engines that may run on this machine.
        num_parts: parts of the model, each in its own process.
    """
    cores = cores_here()
    share = str(threads_each(cores, num_engines * num_parts))
    omp_threads = os.environ.setdefault("OMP_NUM_THREADS", share)
    # The variable may be a list, with one number per nesting level.
    fewer = omp_threads.isdigit() and int(omp_threads) < cores
    if num_engines > 1 or cores <= _FEW_CORES or fewer:
        # vLLM's own binding would give all engines the same cores, or one more than its share.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


def executor_argument(num_parts: int) -> dict[str, str]:
    """`distributed_executor_backend`, if the model can run in the engine core's own process.

    This saves the import of torch and vLLM in one process, a third of an engine's start, and the
    hand-over of steps between processes, with which the same work takes 1.4 times the CPU: on two
    cores, it made 1.3 times the records/s (`benchmarks.engine_defaults`). Call this after
    `share_cores`, because bound threads need their own process.

    Args:
        num_parts: number of parts of the model.
    """
    unbound = os.environ.get("VLLM_CPU_OMP_THREADS_BIND") == "nobind"
    return {"distributed_executor_backend": MODEL_IN_CORE} if unbound and num_parts == 1 else {}


def dtype_argument(model: Path, args: Mapping[str, Any]) -> dict[str, str]:
    """`dtype`, if the model's own would be slow on this CPU and the job does not set one.

    Without more than AVX2 there are no 16-bit kernels: a product of 4,096 rows takes 9 times as
    long as in float32, which made 2.6 and 3.3 times the records/s of the demo model in two rounds
    (`benchmarks.engine_defaults`). Quantized models keep their own dtype, which their kernels need.

    Args:
        model: folder with `config.json`.
        args: the job's own engine arguments.
    """
    import torch

    slow = torch.backends.cpu.get_cpu_capability() == "AVX2"
    if not slow or {"dtype", "quantization"} & args.keys():
        return {}
    return {} if "quantization_config" in config_of_model(model) else {"dtype": "float32"}


def config_of_model(model: Path) -> dict[str, Any]:
    """The content of a model's `config.json`."""
    config: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf8"))
    return config
