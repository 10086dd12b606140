"""Workers as threads of this process, for debugging, tests and single engines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import socket
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from batchfim.errors import BatchfimError, JobFailed
from batchfim.shards import Lease
from batchfim.workers.loop_thread import LoopThread
from batchfim.workers.pool import (
    Event,
    ShardBegun,
    ShardEnded,
    WorkerGone,
    WorkerReady,
    WorkerSpec,
)
from batchfim.workers.worker import Worker

_STOP_S = 30.0


class LocalPool:
    """A pool with one thread and event loop per worker."""

    def __init__(self, spec: WorkerSpec) -> None:
        # Forking a process with threads can hang; under Ray, vLLM uses spawn on its own.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        self._spec = spec
        self._events: queue.Queue[Event] = queue.Queue()
        self._threads: dict[str, _WorkerThread] = {}

    def add_worker(self, worker: str) -> None:
        self._threads[worker] = _WorkerThread(worker, self._spec, self._events)

    def remove_worker(self, worker: str) -> None:
        thread = self._threads.pop(worker, None)
        if thread:
            thread.stop()

    def submit(self, worker: str, lease: Lease) -> None:
        self._threads[worker].submit(lease)

    def wait(self, timeout_s: float) -> list[Event]:
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(timeout=timeout_s))
            while True:
                events.append(self._events.get_nowait())
        return [event for event in events if event.worker in self._threads]

    def steps(self) -> dict[str, int]:
        return {worker: thread.num_steps for worker, thread in self._threads.items()}

    def close(self) -> None:
        for worker in list(self._threads):
            self.remove_worker(worker)


class _WorkerThread:
    def __init__(self, name: str, spec: WorkerSpec, events: queue.Queue[Event]) -> None:
        self._name = name
        self._events = events
        self._worker: Worker | None = None
        self._thread = LoopThread(name)
        self._run(self._start(spec))

    @property
    def num_steps(self) -> int:
        return self._worker.num_steps if self._worker else 0

    def submit(self, lease: Lease) -> None:
        self._run(self._work(lease))

    def stop(self) -> None:
        self._thread.end(self._end(), _STOP_S)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._thread.run(coroutine).add_done_callback(self._report_crash)

    def _report_crash(self, future: Future[Any]) -> None:
        """Report an uncaught exception, which would otherwise leave the driver waiting forever."""
        if not future.cancelled() and (error := future.exception()) is not None:
            cause = f"worker {self._name} crashed: {type(error).__name__}: {error}"
            self._events.put(WorkerGone(self._name, JobFailed(cause)))

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._worker:
            await self._worker.stop()

    async def _start(self, spec: WorkerSpec) -> None:
        started_s = time.monotonic()
        try:
            self._worker, engine = await Worker.start(self._name, spec)
        except BatchfimError as error:
            self._events.put(WorkerGone(self._name, error))
        else:
            start_s = time.monotonic() - started_s
            self._events.put(WorkerReady(self._name, engine, start_s, socket.gethostname()))

    async def _work(self, lease: Lease) -> None:
        assert self._worker is not None
        begun = ShardBegun(self._name, lease)
        outcome = await self._worker.work(lease, lambda: self._events.put(begun))
        self._events.put(ShardEnded(self._name, lease, outcome))
