"""Workers as Ray actors. Only shard descriptions and reports pass through Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayError

from batchfim.config import Resources
from batchfim.engines.engine import EngineInfo
from batchfim.errors import BatchfimError, ConfigError, JobFailed
from batchfim.metrics.report import ShardReport
from batchfim.shards import Lease
from batchfim.workers.pool import (
    Event,
    ShardEnded,
    ShardFailure,
    WorkerGone,
    WorkerReady,
    WorkerSpec,
)
from batchfim.workers.worker import Worker

_STOP_S = 20.0
_KNOCK_S = 5.0


class _Actor:
    """A worker in its own process; a Ray actor class is made of it in `RayPool`."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    async def start(self, name: str, spec: WorkerSpec) -> tuple[EngineInfo, float] | BatchfimError:
        """Bring the worker up; what prevents it is returned, as Ray would wrap what is raised."""
        started_s = time.monotonic()
        try:
            self._worker, engine = await Worker.start(name, spec)
        except BatchfimError as error:
            return error
        return engine, time.monotonic() - started_s

    async def work(self, lease: Lease) -> ShardReport | ShardFailure:
        assert self._worker is not None
        return await self._worker.work(lease)

    async def stop(self) -> None:
        if self._worker:
            await self._worker.stop()


class RayPool:
    """One actor for each worker."""

    def __init__(self, spec: WorkerSpec, num_gpus: float) -> None:
        """Connect to Ray, or start a local one that ends with this process.

        Raises:
            ConfigError: no Ray answers at the address, or it can never hold one worker.
        """
        self._spec = spec
        resources = spec.config.resources
        self._owns_ray = _connect(resources)
        _check_resources(resources.num_cpus, num_gpus)
        self._actor_class = ray.remote(
            num_cpus=resources.num_cpus,
            num_gpus=num_gpus,
            max_restarts=0,  # a lost worker is replaced by the driver, which has to know
            max_concurrency=spec.config.schedule.shards_in_hand + 2,
        )(_Actor)
        self._actors: dict[str, Any] = {}
        self._pending: dict[Any, tuple[str, Lease | None]] = {}

    def add_worker(self, worker: str) -> None:
        actor = self._actor_class.remote()
        self._actors[worker] = actor
        self._pending[actor.start.remote(worker, self._spec)] = (worker, None)

    def remove_worker(self, worker: str) -> None:
        actor = self._actors.pop(worker, None)
        self._pending = {ref: of for ref, of in self._pending.items() if of[0] != worker}
        if actor is not None:
            ray.kill(actor)

    def submit(self, worker: str, lease: Lease) -> None:
        self._pending[self._actors[worker].work.remote(lease)] = (worker, lease)

    def wait(self, timeout_s: float) -> list[Event]:
        if not self._pending:
            time.sleep(timeout_s)
            return []
        first, rest = ray.wait(list(self._pending), num_returns=1, timeout=timeout_s)
        if rest:
            more, _ = ray.wait(rest, num_returns=len(rest), timeout=0)
            first += more
        return [self._event(ref, *self._pending.pop(ref)) for ref in first]

    def close(self) -> None:
        stopping = [actor.stop.remote() for actor in self._actors.values()]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_S)
        for worker in list(self._actors):
            self.remove_worker(worker)
        if self._owns_ray:
            ray.shutdown()

    def _event(self, ref: Any, worker: str, lease: Lease | None) -> Event:
        try:
            result = ray.get(ref)
        except RayError as error:
            cause = getattr(error, "cause", None) or error  # of a task's error, what it raised
            return WorkerGone(worker, JobFailed(f"the worker was lost: {_first_line(cause)}"))
        if isinstance(result, BatchfimError):
            return WorkerGone(worker, result)
        if lease is None:
            return WorkerReady(worker, *result)
        return ShardEnded(worker, lease, result)


def _connect(resources: Resources) -> bool:
    """Connect to Ray; whether it was started here."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = resources.ray_address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(address)
        with _own_sigterm():
            ray.init(
                address=address or "local",
                include_dashboard=False if address is None else None,
                logging_level=logging.ERROR,
                log_to_driver=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no Ray at {address or 'this machine'}: {_first_line(error)}") from None
    return True


def _check_resources(num_cpus: float, num_gpus: float) -> None:
    """A local Ray never grows; on a cluster, an autoscaler may still bring what is missing."""
    if ray.get_runtime_context().gcs_address and len(ray.nodes()) > 1:
        return
    have = ray.cluster_resources()
    for name, wanted in (("CPU", num_cpus), ("GPU", num_gpus)):
        if wanted > have.get(name, 0):
            raise ConfigError(
                f"a worker wants {wanted:g} {name} (resources.num_{name.lower()}s), and Ray here "
                f"has {have.get(name, 0):g}"
            )


def _knock(address: str | None) -> None:
    """Fail in seconds where nobody listens: Ray itself tries for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _KNOCK_S).close()


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's SIGTERM handler: `ray.init` puts one there that exits at once."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _first_line(error: Exception) -> str:
    with contextlib.suppress(IndexError):
        return str(error).strip().splitlines()[0]
    return type(error).__name__
