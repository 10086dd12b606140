"""Workers as Ray actors. Only shard descriptions and reports pass through Ray."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import math
import queue
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from batchfim.arrow import skip_pandas_import
from batchfim.cluster.capacity import Wanted, find_no_room
from batchfim.cluster.connection import connect
from batchfim.cluster.token import address_of
from batchfim.config import Schedule
from batchfim.engines.engine import EngineInfo
from batchfim.errors import BatchfimError, ConfigError, JobFailed, first_line
from batchfim.metrics.shard_report import ShardReport
from batchfim.shards import Lease
from batchfim.telemetry.exporting import open_metric
from batchfim.telemetry.table import IN_FLIGHT
from batchfim.workers.placing import (
    actor_options,
    check_output_is_seen,
    nodes_of,
    open_on_each_node,
    release,
    reserve,
    share_cores_of_node,
)
from batchfim.workers.pool import (
    Event,
    ShardBegun,
    ShardEnded,
    ShardFailure,
    WorkerGone,
    WorkerLeaving,
    WorkerReady,
    WorkerSpec,
)
from batchfim.workers.worker import Worker

_STOP_S = 20.0
_BEAT_S = 5.0
_LISTENS_S = 0.5
_LOOK_S = 1.0
_CALLS_BESIDE = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Started:
    """An actor's report once its engine is up."""

    engine: EngineInfo
    start_s: float
    node: str
    host: str


@dataclass
class _Member:
    """An actor and its last known state."""

    actor: Any
    group: Any  # its placement group, if it has one
    nodes: frozenset[str] = frozenset()  # set once it is up
    leaves: bool = False
    steps: int | None = None  # None until its process has answered once
    asked_s: float = -math.inf
    beat: Future[int] | None = None

    def hear(self) -> None:
        """Take the answer; if the worker is gone, its other calls report that."""
        assert self.beat is not None
        with contextlib.suppress(RayError):
            self.steps = self.beat.result()
        self.beat = None


@dataclass(frozen=True)
class _Answer:
    """A completed call to an actor: its start, the begin of a lease, or the processing of one."""

    worker: str
    lease: Lease | None
    future: Future[Any]


class _Actor:
    """A worker in its own process; `RayPool` makes a Ray actor class from this class."""

    def __init__(self) -> None:
        skip_pandas_import()
        self._worker: Worker | None = None
        self._begun: dict[Lease, asyncio.Event] = {}
        self._telling: asyncio.Task[None] | None = None

    async def start(self, name: str, spec: WorkerSpec) -> _Started | BatchfimError:
        """Start the worker; an error is returned, not raised, as Ray would wrap it."""
        started_s = time.monotonic()
        try:
            share_cores_of_node(spec.config)
            await asyncio.to_thread(check_output_is_seen, spec)
            await open_on_each_node(spec)
            self._worker, engine = await Worker.start(name, spec)
        except BatchfimError as error:
            return error
        self._telling = asyncio.create_task(self._tell_in_flight(spec.config.output.path))
        node = ray.get_runtime_context().get_node_id()
        return _Started(engine, time.monotonic() - started_s, node, socket.gethostname())

    async def _tell_in_flight(self, output: str) -> None:
        """Set the gauge of records in flight regularly: Ray's agent drops gauges that go stale."""
        assert self._worker is not None
        in_flight = open_metric(IN_FLIGHT, output)
        while True:
            in_flight.set(self._worker.num_in_flight, {"worker": self._worker.name})
            await asyncio.sleep(_BEAT_S)

    async def steps(self) -> int:
        """The worker's step count; if there is no answer, the process hangs."""
        return 0 if self._worker is None else self._worker.num_steps

    async def work(self, lease: Lease) -> ShardReport | ShardFailure:
        assert self._worker is not None
        begun = self._begun[lease] = asyncio.Event()
        try:
            return await self._worker.work(lease, begun.set)
        finally:
            del self._begun[lease]
            begun.set()

    async def begun(self, lease: Lease) -> None:
        """Wait until the engine has all prompts of a lease, or the lease has ended."""
        if lease in self._begun:
            await self._begun[lease].wait()

    async def stop(self) -> None:
        if self._worker:
            await self._worker.stop()


class RayPool:
    """A pool with one Ray actor per worker."""

    def __init__(self, spec: WorkerSpec, num_gpus: float) -> None:
        """Connect to Ray, or start a local one that ends with this process.

        Raises:
            ConfigError: no Ray is available, or it can never hold one worker.
        """
        self._spec = spec
        resources = spec.config.resources
        self._connected = connect(resources)
        is_own = self._connected and address_of(resources) is None  # local, started for this run
        may_grow = spec.config.schedule.workers.may_grow and not is_own
        self._num_gpus = num_gpus
        self._wanted = Wanted.of(spec.config, num_gpus)
        try:
            _check_room(self._wanted, may_grow=may_grow)
        except ConfigError:
            self._disconnect()  # or the next run in this process would use the same Ray
            raise
        self._actor_class = ray.remote(
            max_restarts=0,  # the driver must know of a lost worker, and replaces it
            max_concurrency=_most_calls(spec.config.schedule),
        )(_Actor)
        self._members: dict[str, _Member] = {}
        self._answers: queue.Queue[_Answer] = queue.Queue()
        self._looked_s = -math.inf

    def add_worker(self, worker: str) -> None:
        group = reserve(self._wanted, worker)
        options = actor_options(self._spec.config, self._num_gpus, group)
        actor = self._actor_class.options(**options).remote()
        self._members[worker] = _Member(actor, group)
        self._tell(worker, actor.start.remote(worker, self._spec))

    def remove_worker(self, worker: str) -> None:
        member = self._members.pop(worker, None)
        if member is not None:
            ray.kill(member.actor)
            release(member.group)

    def submit(self, worker: str, lease: Lease) -> None:
        actor = self._members[worker].actor
        self._tell(worker, actor.work.remote(lease), lease)
        self._tell(worker, actor.begun.remote(lease), lease)

    def wait(self, timeout_s: float) -> list[Event]:
        answers: list[_Answer] = []
        with contextlib.suppress(queue.Empty):
            answers.append(self._answers.get(timeout=timeout_s))
            while True:
                answers.append(self._answers.get_nowait())
        return [*self._events(answers), *self._look_at_nodes()]

    def steps(self) -> dict[str, int]:
        now_s = time.monotonic()
        for member in self._members.values():
            if member.beat is not None and member.beat.done():
                member.hear()
            if member.beat is None and now_s - member.asked_s > _BEAT_S:
                member.asked_s, member.beat = now_s, member.actor.steps.remote().future()
        known = {worker: member.steps for worker, member in self._members.items()}
        return {worker: steps for worker, steps in known.items() if steps is not None}

    def close(self) -> None:
        up = [member for member in self._members.values() if member.nodes]
        stopping = [member.actor.stop.remote() for member in up]  # others may never answer
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_S)
        for worker in list(self._members):
            self.remove_worker(worker)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connected:
            ray.shutdown()

    def _tell(self, worker: str, ref: Any, lease: Lease | None = None) -> None:
        """Queue a call's result for `wait` when it ends, so that `wait` need not poll all calls."""
        ref.future().add_done_callback(
            lambda future: self._answers.put(_Answer(worker, lease, future))
        )

    def _look_at_nodes(self) -> list[Event]:
        """Events for workers on nodes that Ray newly drains (spot machines, scaling down).

        Also for workers that lost one of several nodes: their actor may be on another node, and
        not notice.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return []
        self._looked_s = now_s
        try:
            drained = _drained_nodes()
            alive = _alive_nodes() if self._wanted.num_machines > 1 else None
        except RayError:  # Ray's head does not answer; lost workers show in their calls
            return []
        seen: list[Event] = []
        for worker, member in self._members.items():
            if alive is not None and member.nodes - alive:
                lost = JobFailed("the worker was lost: one of its nodes is gone")
                seen.append(WorkerGone(worker, lost, node_lost=True))
            elif member.nodes & drained and not member.leaves:
                member.leaves = True
                seen.append(WorkerLeaving(worker))
        return seen

    def _events(self, answers: list[_Answer]) -> Iterator[Event]:
        """Events of the answers, but one per lost worker: 200 with many calls may go at once."""
        is_lost, gone = _look_at_each_once(), set[str]()
        for answer in answers:
            if answer.worker in self._members and answer.worker not in gone:
                event = self._event(answer, is_lost)
                if isinstance(event, WorkerGone):
                    gone.add(event.worker)
                yield event

    def _event(self, answer: _Answer, is_lost: Callable[[str], bool]) -> Event:
        worker, lease = answer.worker, answer.lease
        try:
            result = answer.future.result()
        except RayError as error:
            cause = getattr(error, "cause", None) or error  # the exception that the task raised
            lost = JobFailed(f"the worker was lost: {first_line(cause)}")
            return WorkerGone(worker, lost, node_lost=self._lost_node(worker, error, is_lost))
        if isinstance(result, BatchfimError):
            return WorkerGone(worker, result)
        if isinstance(result, _Started):
            member = self._members[worker]
            member.nodes = nodes_of(member.group) if member.group else frozenset([result.node])
            member.steps = member.steps or 0
            return WorkerReady(worker, result.engine, result.start_s, result.host)
        assert lease is not None
        if result is None:
            return ShardBegun(worker, lease)
        return ShardEnded(worker, lease, result)

    def _lost_node(self, worker: str, error: RayError, is_lost: Callable[[str], bool]) -> bool:
        """Whether a worker was lost with its machine."""
        known = any(map(is_lost, self._members[worker].nodes))
        return known or bool(getattr(error, "preempted", False))


def _most_calls(schedule: Schedule) -> int:
    """Calls that an actor answers at once: two for each shard in hand, and those about itself."""
    return _CALLS_BESIDE + 2 * schedule.most_shards_in_hand


def _check_room(wanted: Wanted, *, may_grow: bool) -> None:
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


def _drained_nodes() -> set[str]:
    """Ids of the nodes that Ray drains; Ray 2.60 has no public API, and Ray Train uses this."""
    return set(ray._private.state.state.get_draining_nodes())


def _alive_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _look_at_each_once() -> Callable[[str], bool]:
    """A function that returns whether a node is lost, perhaps before Ray knows.

    It probes each node only once.
    """
    nodes = functools.cache(lambda: {node["NodeID"]: node for node in ray.nodes()})

    @functools.cache
    def is_lost(node_id: str) -> bool:
        node = nodes().get(node_id)
        return node is not None and not (node["Alive"] and _listens(node))

    return is_lost


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
