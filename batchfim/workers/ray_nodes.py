"""Ray's nodes: whether they have room for a worker, and which of them leave or are gone."""

from __future__ import annotations

import errno
import functools
import logging
import math
import socket
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from batchfim.cluster.capacity import Wanted, find_no_room
from batchfim.errors import ConfigError

_LISTENS_S = 0.5
_LOOK_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodesSeen:
    """Ids of nodes, as Ray knew them at one moment; `alive` is None if only drains matter."""

    drained: Set[str]
    alive: Set[str] | None

    def drains_any(self, nodes: Set[str]) -> bool:
        """Whether Ray drains one of these nodes: a spot machine, or when scaling down."""
        return not self.drained.isdisjoint(nodes)

    def lacks_any(self, nodes: Set[str]) -> bool:
        """Whether one of these nodes is known to be gone."""
        return self.alive is not None and not nodes <= self.alive


class NodeWatch:
    """Looks at Ray's nodes from time to time."""

    def __init__(self, *, for_lost: bool) -> None:
        """`for_lost`: whether to look for nodes that are gone too, not only for drained ones."""
        self._for_lost = for_lost
        self._looked_s = -math.inf

    def look(self) -> NodesSeen | None:
        """The nodes; None if the last look was just now, or Ray's head does not answer."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return None
        self._looked_s = now_s
        try:
            return NodesSeen(_drained_nodes(), _alive_nodes() if self._for_lost else None)
        except RayError:
            return None


def check_room(wanted: Wanted, *, may_grow: bool) -> None:
    """Reject requests that would wait forever; if machines may be added, only warn.

    Raises:
        ConfigError: no machine can hold a worker, and none will be added.
    """
    problem = find_no_room(wanted, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    if problem and not may_grow:
        raise ConfigError(
            f"{problem}; request less (resources, engine.args.tensor_parallel_size), let a model "
            "span several nodes (resources.nodes_per_worker) or, if an autoscaler adds nodes, set "
            "schedule.workers to {min: …, max: …}"
        )
    if problem:
        _log.warning("%s; waiting for a new node", problem)
    num_gpus = wanted.amounts["GPU"]
    if 0 < num_gpus < 1:
        _log.warning(
            "resources.num_gpus is %g: %d copies of the model share a GPU; set "
            "engine.args.gpu_memory_utilization below that share",
            num_gpus,
            int(1 / num_gpus),
        )


def look_at_each_once() -> Callable[[str], bool]:
    """A function that returns whether a node is lost, perhaps before Ray knows.

    It probes each node only once.
    """
    nodes = functools.cache(lambda: {node["NodeID"]: node for node in ray.nodes()})

    @functools.cache
    def is_lost(node_id: str) -> bool:
        node = nodes().get(node_id)
        return node is not None and not (node["Alive"] and _listens(node))

    return is_lost


def _drained_nodes() -> set[str]:
    """Ids of the nodes that Ray drains; Ray 2.60 has no public API, and Ray Train uses this."""
    return set(ray._private.state.state.get_draining_nodes())


def _alive_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _listens(node: dict[str, Any]) -> bool:
    """Whether a raylet listens on its port.

    A refused connection or a time-out means that it does not; other errors are this machine's.
    """
    try:
        socket.create_connection(
            (node["NodeManagerAddress"], node["NodeManagerPort"]), _LISTENS_S
        ).close()
    except (ConnectionRefusedError, TimeoutError):
        return False
    except OSError as error:
        return error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)
    return True
