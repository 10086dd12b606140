"""The measured sides: each is a process with one engine that completes one file at a time.

They are separate processes so that none inherits memory, threads or caches of another; engines that
are idle while another works wait in a read and use no core.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import psutil

from batchfim.engines.cpu import cores_here

BLOCK_SIZE = 32


@dataclass(frozen=True)
class Setup:
    """Settings that all sides share.

    `args` are vLLM engine arguments; sides differ only in what belongs to a front end.
    """

    model: str
    folder: Path  # for the sides' output
    stop_token_ids: tuple[int, ...]
    max_tokens: int = 32
    max_model_len: int = 2048
    kv_cache_gib: float = 1.0
    args: dict[str, Any] = field(default_factory=dict)
    house: dict[str, Any] = field(default_factory=dict)  # batchfim's own settings
    ray: dict[str, Any] = field(default_factory=dict)  # Ray Data LLM's own settings

    @property
    def engine_args(self) -> dict[str, Any]:
        """All arguments for vLLM."""
        return {
            "model": self.model,
            "max_model_len": self.max_model_len,
            "kv_cache_memory_bytes": int(self.kv_cache_gib * (1 << 30)),
            "enable_prefix_caching": True,
            "generation_config": "vllm",
            **self.args,
        }


@dataclass(frozen=True)
class Cpu:
    """CPU seconds of this process, which has the front end, and of its children: the core."""

    own_s: float
    children_s: float

    @classmethod
    def now(cls) -> Cpu:
        """CPU seconds used so far."""
        children = psutil.Process().children(recursive=True)
        used = [child.cpu_times() for child in children]
        return cls(time.process_time(), sum(times.user + times.system for times in used))

    def since(self) -> Cpu:
        """CPU seconds used since."""
        now = Cpu.now()
        return Cpu(now.own_s - self.own_s, now.children_s - self.children_s)


@dataclass(frozen=True)
class Round:
    """One file completed by one side; None for figures that a side does not report."""

    seconds: float
    records: int
    prompt_tokens: int
    cached_tokens: int | None
    output_tokens: int
    cpu: Cpu | None = None
    regroup_s: float | None = None  # in addition to `seconds`
    kept_tokens: int | None = None  # those of the output that are kept
    decoded_tokens: int | None = None  # all that the core decoded, used or not

    @property
    def records_per_s(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    def figures(self) -> dict[str, Any]:
        """Figures for the result file; prompt, cached, computed and output tokens are separate."""
        cached = self.cached_tokens
        told = {
            "records": self.records,
            "seconds": round(self.seconds, 2),
            "records_per_s": round(self.records_per_s, 2),
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": cached,
            "computed_tokens": None if cached is None else self.prompt_tokens - cached,
            "output_tokens": self.output_tokens,
        }
        if self.cpu is not None:
            told["front_end_cpu_us_per_record"] = round(self.cpu.own_s / self.records * 1e6)
            told["engine_core_cpu_us_per_record"] = round(self.cpu.children_s / self.records * 1e6)
        if self.regroup_s is not None:
            told["regroup_seconds"] = round(self.regroup_s, 2)
        if self.decoded_tokens is not None:
            told |= {"kept_tokens": self.kept_tokens, "decoded_tokens": self.decoded_tokens}
        return told


class Side(Protocol):
    """A measured side, built in its own process with its engine up."""

    def work(self, path: Path) -> Round:
        """Complete every record of a file, starting with an empty prefix cache."""

    def close(self) -> None:
        """End the engine."""


def engine_environment() -> dict[str, str]:
    """Environment that gives every engine the same threads; by default Ray gives actors one."""
    return {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(cores_here()),
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # on GPUs, some sides have threads to fork beside
    }


class InProcess:
    """A side that runs in a separate process."""

    def __init__(self, make: Callable[[Setup], Side], setup: Setup) -> None:
        for name, value in engine_environment().items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(make, setup, theirs))
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it is up

    def work(self, path: Path) -> Round:
        """Complete a file by `Side.work` in that process."""
        self._pipe.send(path)
        done: Round = self._pipe.recv()
        return done

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.send(None)
        self._process.join()


def _serve(make: Callable[[Setup], Side], setup: Setup, pipe: Connection) -> None:
    side = make(setup)
    pipe.send("up")
    while (path := pipe.recv()) is not None:
        pipe.send(side.work(path))
    side.close()
