"""What a worker asks of Ray's machines, and whether they have it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchfim.config import JobConfig

Amounts = Mapping[str, float]
_KIND_SHARE = 0.001  # what Ray counts of a machine's kind of accelerator for each actor


@dataclass(frozen=True)
class Wanted:
    """What a worker asks for, by resource: once, on one machine, or once for each part of a model
    that lies on several machines.
    """

    amounts: Amounts
    num_parts: int = 1
    num_machines: int = 1

    @classmethod
    def of(cls, config: JobConfig, num_gpus: float) -> Wanted:
        """What each worker of a job asks for, that needs so many GPUs in all."""
        resources = config.resources
        num_parts = config.engine.num_devices if resources.nodes_per_worker > 1 else 1
        amounts = {"CPU": resources.kept_cpus, "GPU": num_gpus / num_parts, **resources.custom}
        if resources.accelerator_type:
            amounts[f"accelerator_type:{resources.accelerator_type}"] = _KIND_SHARE
        return cls(amounts, num_parts, resources.nodes_per_worker)


def find_no_room(wanted: Wanted, machines: Sequence[Amounts]) -> str | None:
    """Why the machines cannot hold one worker, empty as they may be; None where they can.

    Args:
        wanted: what a worker asks for.
        machines: what each machine has in all, by resource.
    """
    room = sorted((_num_parts(wanted, has) for has in machines), reverse=True)
    if sum(room[: wanted.num_machines]) >= wanted.num_parts:
        return None
    asked = ", ".join(f"{num:g} {_shown(name)}" for name, num in wanted.amounts.items() if num)
    have = "; ".join(_told(wanted.amounts, has) for has in machines) or "nothing"
    return f"a worker wants {_where(wanted, asked)}, and Ray's have: {have}"


def _num_parts(wanted: Wanted, has: Amounts) -> int:
    """Parts of a worker that one machine has room for; as many as there are, if it asks nothing."""
    fits = [int(has.get(name, 0) // num) for name, num in wanted.amounts.items() if num]
    return min(fits, default=wanted.num_parts)


def _where(wanted: Wanted, asked: str) -> str:
    if wanted.num_machines == 1:
        return f"{asked} on one machine"
    return f"{wanted.num_parts} times {asked} on at most {wanted.num_machines} machines"


def _told(amounts: Amounts, has: Amounts) -> str:
    return ", ".join(f"{has.get(name, 0):g} {_shown(name)}" for name in amounts)


def _shown(name: str) -> str:
    """Ray's resource for a kind of accelerator is one of a thousandth, of machines that have it."""
    return name.removeprefix("accelerator_type:")
