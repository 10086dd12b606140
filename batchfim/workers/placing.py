"""Where a worker's actor lives: on one machine, or in a placement group over several."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Any

import ray
from ray.util.placement_group import (
    PlacementGroup,
    get_current_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from batchfim.config import JobConfig
from batchfim.engines.cpu import threads_each
from batchfim.errors import BatchfimError, OutputError
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.workers.capacity import Wanted
from batchfim.workers.job_model import open_job_model
from batchfim.workers.pool import WorkerSpec


def reserve(wanted: Wanted, name: str) -> PlacementGroup | None:
    """Ask for a worker's places, a bundle for each part; None where it is an actor's own affair.

    vLLM places one part in each bundle, and takes none that has more than one GPU (vLLM 0.32,
    `vllm/v1/executor/ray_utils.py`, `initialize_ray_cluster`).
    """
    if wanted.num_machines == 1:
        return None
    bundle = {resource: amount for resource, amount in wanted.amounts.items() if amount}
    return placement_group([bundle] * wanted.num_parts, strategy="PACK", name=name)


def actor_options(config: JobConfig, num_gpus: float, group: PlacementGroup | None) -> Any:
    """What the actor itself asks for; in a group, the GPUs are those of vLLM's own actors."""
    resources = config.resources
    options = {"num_cpus": resources.kept_cpus, "resources": resources.custom or None}
    if group is None:
        spread = None if num_gpus else "SPREAD"  # Ray fills one machine first, by what is kept
        more = {"accelerator_type": resources.accelerator_type, "scheduling_strategy": spread}
        return options | {"num_gpus": num_gpus, **more}
    return options | {"num_gpus": 0, "scheduling_strategy": _in_bundle(group, 0)}


def share_cores_of_node(config: JobConfig) -> None:
    """Where the job names no CPUs, have an engine on CPU take its share of this machine's.

    Ray gives a process as many threads as its actor has CPUs, so one to whoever names none. Called
    in the actor, before anything that computes is imported; elsewhere nothing is changed.
    """
    is_set = os.environ.get("OMP_NUM_THREADS", "1") != "1" or config.resources.num_cpus is not None
    if is_set or config.resources.nodes_per_worker > 1 or not ray.is_initialized():
        return  # asking Ray for anything more would start one
    actor = ray.get_runtime_context()
    if actor.get_actor_id() is None:
        return
    if actor.get_assigned_resources().get("GPU"):
        return
    alive = [node for node in ray.nodes() if node["Alive"]]
    cores = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in alive}
    num_machines = sum(num > 0 for num in cores.values())
    num_processes = config.schedule.workers.max * config.engine.num_devices
    threads = threads_each(cores[actor.get_node_id()], num_processes, num_machines)
    os.environ["OMP_NUM_THREADS"] = str(threads)


def release(group: PlacementGroup | None) -> None:
    """Give a worker's places back, which ends what is left in them."""
    if group is not None:
        remove_placement_group(group)


def nodes_of(group: PlacementGroup) -> frozenset[str]:
    """Ids of the nodes that a group which is placed lies on."""
    return frozenset(_nodes_by_bundle(group).values())


def check_output_is_seen(spec: WorkerSpec) -> None:
    """The run's own record must be where this machine looks for it, or parts would be lost here.

    Raises:
        OutputError: another disk is under the same path.
    """
    output = spec.config.output.path
    if not Ledger(Location.of(output)).runs.has(spec.run_record):
        raise OutputError(
            f"output.path {output} is another place on {socket.gethostname()}, where a worker is: "
            "give a URL, or a folder on a disk that all machines share"
        )


async def open_on_each_node(spec: WorkerSpec) -> None:
    """Have the model's files come to each node of the group that this actor is in.

    Raises:
        ModelError: they cannot be had on one of them, or are of another model.
    """
    if (group := get_current_placement_group()) is None:
        return
    one_bundle_each = {node: bundle for bundle, node in _nodes_by_bundle(group).items()}
    task = ray.remote(num_cpus=0, max_retries=0)(_open)
    opening = [
        task.options(scheduling_strategy=_in_bundle(group, bundle)).remote(spec)
        for bundle in one_bundle_each.values()
    ]
    for error in await asyncio.gather(*opening):
        if error is not None:
            raise error


def _open(spec: WorkerSpec) -> BatchfimError | None:
    """What prevents it is returned, as Ray would wrap what is raised."""
    try:
        open_job_model(spec)
    except BatchfimError as error:
        return error
    return None


def _in_bundle(group: PlacementGroup, bundle: int) -> PlacementGroupSchedulingStrategy:
    return PlacementGroupSchedulingStrategy(group, bundle, placement_group_capture_child_tasks=True)


def _nodes_by_bundle(group: PlacementGroup) -> Mapping[int, str]:
    found: Mapping[int, str] = placement_group_table(group)["bundles_to_node_id"]
    return found
