"""Placement of workers: an actor on one machine, or a placement group over several."""

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

from batchfim.cluster.capacity import Wanted
from batchfim.config import JobConfig
from batchfim.engines.cpu import threads_each
from batchfim.errors import BatchfimError, OutputError
from batchfim.storage.ledger import Ledger
from batchfim.workers.job_model import open_job_model
from batchfim.workers.pool import WorkerSpec


def reserve(wanted: Wanted, name: str) -> PlacementGroup | None:
    """Request a placement group with one bundle per part of a worker; None for a single machine.

    vLLM places one part in each bundle, and does not accept bundles with more than one GPU (vLLM
    0.32, `vllm/v1/executor/ray_utils.py`, `initialize_ray_cluster`).
    """
    if wanted.num_machines == 1:
        return None
    bundle = {resource: amount for resource, amount in wanted.amounts.items() if amount}
    return placement_group([bundle] * wanted.num_parts, strategy="PACK", name=name)


def actor_options(config: JobConfig, num_gpus: float, group: PlacementGroup | None) -> Any:
    """Options of a worker's actor; in a placement group, vLLM's own actors take the GPUs."""
    resources = config.resources
    options = {"num_cpus": resources.kept_cpus, "resources": resources.custom or None}
    if group is None:
        spread = None if num_gpus else "SPREAD"  # by default, Ray fills one machine first
        more = {"accelerator_type": resources.accelerator_type, "scheduling_strategy": spread}
        return options | {"num_gpus": num_gpus, **more}
    return options | {"num_gpus": 0, "scheduling_strategy": _in_bundle(group, 0)}


def share_cores_of_node(config: JobConfig) -> None:
    """Give an engine on CPU its share of this machine's cores, if the job sets no CPUs.

    Ray gives a process as many threads as its actor has CPUs, so only one if none are requested.
    Called in the actor before any numeric library is imported; outside actors it has no effect.
    """
    is_set = os.environ.get("OMP_NUM_THREADS", "1") != "1" or config.resources.num_cpus is not None
    if is_set or config.resources.nodes_per_worker > 1 or not ray.is_initialized():
        return  # the calls below would start a Ray if none is running
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
    """Remove a worker's placement group, which ends the processes left in it."""
    if group is not None:
        remove_placement_group(group)


def nodes_of(group: PlacementGroup) -> frozenset[str]:
    """Ids of the nodes of a placement group that has been placed."""
    return frozenset(_nodes_by_bundle(group).values())


def check_output_is_seen(spec: WorkerSpec) -> None:
    """Check that the run's own record is visible from this machine, or parts would be lost here.

    Raises:
        OutputError: another disk has the same path.
    """
    output = spec.config.output.path
    if not Ledger.at(output).runs.has(spec.run_record):
        raise OutputError(
            f"output.path {output} is a different folder on {socket.gethostname()}, where a worker "
            "runs; give a URL, or a folder on a disk that all machines share"
        )


async def open_on_each_node(spec: WorkerSpec) -> None:
    """Make the model's files available on each node of this actor's placement group.

    Raises:
        ModelError: they cannot be made available on one of the nodes, or are another model's.
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
    """Open the model; an error is returned, not raised, as Ray would wrap it."""
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
