"""Workers as Ray actors. Only shard descriptions and reports pass through Ray."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any

import ray
from ray.exceptions import RayError

from batchfim.arrow import skip_pandas_import
from batchfim.cluster.capacity import Wanted
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
from batchfim.workers.ray_nodes import NodeWatch, check_room, look_at_each_once
from batchfim.workers.worker import Worker

_STOP_S = 20.0
_BEAT_S = 5.0
_CALLS_BESIDE = 16


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


class _Call(Enum):
    """What an actor was asked to do, and so what its answer means."""

    START = "start"  # it is up, or why it did not start
    BEGUN = "begun"  # the engine has all prompts of a lease, or the lease has ended
    WORK = "work"  # what became of a lease


@dataclass(frozen=True)
class _Answer:
    """A completed call to an actor; all but its start are about a lease."""

    worker: str
    call: _Call
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
            check_room(self._wanted, may_grow=may_grow)
        except ConfigError:
            self._disconnect()  # or the next run in this process would use the same Ray
            raise
        self._actor_class = ray.remote(
            max_restarts=0,  # the driver must know of a lost worker, and replaces it
            max_concurrency=_most_calls(spec.config.schedule),
        )(_Actor)
        self._members: dict[str, _Member] = {}
        self._answers: queue.Queue[_Answer] = queue.Queue()
        # A worker over several nodes may lose one that its actor is not on, and not notice.
        self._nodes = NodeWatch(for_lost=self._wanted.num_machines > 1)

    def add_worker(self, worker: str) -> None:
        group = reserve(self._wanted, worker)
        options = actor_options(self._spec.config, self._num_gpus, group)
        actor = self._actor_class.options(**options).remote()
        self._members[worker] = _Member(actor, group)
        self._tell(worker, _Call.START, actor.start.remote(worker, self._spec))

    def remove_worker(self, worker: str) -> None:
        member = self._members.pop(worker, None)
        if member is not None:
            ray.kill(member.actor)
            release(member.group)

    def submit(self, worker: str, lease: Lease) -> None:
        actor = self._members[worker].actor
        self._tell(worker, _Call.WORK, actor.work.remote(lease), lease)
        self._tell(worker, _Call.BEGUN, actor.begun.remote(lease), lease)

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

    def _tell(self, worker: str, call: _Call, ref: Any, lease: Lease | None = None) -> None:
        """Queue a call's result for `wait` when it ends, so that `wait` need not poll all calls."""
        ref.future().add_done_callback(
            lambda future: self._answers.put(_Answer(worker, call, lease, future))
        )

    def _look_at_nodes(self) -> Iterator[Event]:
        """Events for workers that lost one of several nodes, or that are on one newly drained."""
        seen = self._nodes.look()
        if seen is None:
            return
        for worker, member in self._members.items():
            if seen.lacks_any(member.nodes):
                lost = JobFailed("the worker was lost: one of its nodes is gone")
                yield WorkerGone(worker, lost, node_lost=True)
            elif seen.drains_any(member.nodes) and not member.leaves:
                member.leaves = True
                yield WorkerLeaving(worker)

    def _events(self, answers: list[_Answer]) -> Iterator[Event]:
        """Events of the answers, but one per lost worker: 200 with many calls may go at once."""
        is_lost, gone = look_at_each_once(), set[str]()
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
        if answer.call is _Call.START:
            return self._started(worker, result)
        assert lease is not None
        if answer.call is _Call.BEGUN:
            return ShardBegun(worker, lease)
        return ShardEnded(worker, lease, result)

    def _started(self, worker: str, started: _Started | BatchfimError) -> Event:
        if isinstance(started, BatchfimError):
            return WorkerGone(worker, started)
        member = self._members[worker]
        member.nodes = nodes_of(member.group) if member.group else frozenset([started.node])
        member.steps = member.steps or 0
        return WorkerReady(worker, started.engine, started.start_s, started.host)

    def _lost_node(self, worker: str, error: RayError, is_lost: Callable[[str], bool]) -> bool:
        """Whether a worker was lost with its machine."""
        known = any(map(is_lost, self._members[worker].nodes))
        return known or bool(getattr(error, "preempted", False))


def _most_calls(schedule: Schedule) -> int:
    """Calls that an actor answers at once: two for each shard in hand, and those about itself."""
    return _CALLS_BESIDE + 2 * schedule.most_shards_in_hand
