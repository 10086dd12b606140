"""What an engine on CPU is told of the machine: its share of the cores, the processes it takes, and
the numbers they are quick with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A lone engine's threads are bound by vLLM to the first NUMA node, all its cores but one, which is
# for the front end. That takes 3 % of the engine's own CPU here (`benchmarks.overhead`), so where a
# core is more than an eighth of the machine it is worth more to the engine: of two cores, all made
# 1.6 times the records/s (`benchmarks.engine_defaults`).
_FEW_CORES = 8
# vLLM starts a process for the model even where one is all, as only there it can bind threads.
MODEL_IN_CORE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


def cores_here() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(num_cores: int, num_processes: int, num_machines: int = 1) -> int:
    """Threads of each process that computes, where they lie evenly over machines of as many cores.

    Args:
        num_cores: of one machine.
        num_processes: that compute, on all machines.
        num_machines: that they lie on.
    """
    on_one = -(-num_processes // max(num_machines, 1))
    return max(num_cores // max(on_one, 1), 1)


def share_cores(num_engines: int, num_parts: int) -> None:
    """Tell the engine's processes, which start later, how many threads each has, and where.

    What the environment says already stays.

    Args:
        num_engines: that may be on this machine.
        num_parts: of the model, each a process.
    """
    cores = cores_here()
    share = str(threads_each(cores, num_engines * num_parts))
    omp_threads = os.environ.setdefault("OMP_NUM_THREADS", share)
    # It may be a list, one for each nesting.
    fewer = omp_threads.isdigit() and int(omp_threads) < cores
    if num_engines > 1 or cores <= _FEW_CORES or fewer:
        # vLLM's own binding would give each engine the same cores, or more than its share.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


def executor_argument(num_parts: int) -> dict[str, str]:
    """`distributed_executor_backend`, where the model can be in the core's own process.

    One process less imports torch and vLLM, a third of an engine's start, and steps are not handed
    from process to process, with which the same work takes 1.4 times the CPU: on two cores, 1.3
    times the records/s (`benchmarks.engine_defaults`). To be asked after `share_cores`, as threads
    that are bound want a process of their own.

    Args:
        num_parts: of the model.
    """
    unbound = os.environ.get("VLLM_CPU_OMP_THREADS_BIND") == "nobind"
    return {"distributed_executor_backend": MODEL_IN_CORE} if unbound and num_parts == 1 else {}


def dtype_argument(model: Path, args: Mapping[str, Any]) -> dict[str, str]:
    """`dtype`, where the model's own would be slow; empty where it is not, or the job says one.

    With AVX2 alone there are no kernels for numbers of 16 bits: a product of 4,096 rows takes 9
    times as long as in float32, which made 2.6 and 3.3 times the records/s of the demo model in two
    rounds (`benchmarks.engine_defaults`). A quantised model's kernels want what it says.

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
    """What a model's `config.json` says."""
    config: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf8"))
    return config
