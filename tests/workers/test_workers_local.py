"""Workers as threads."""

from __future__ import annotations

import os
from collections.abc import Callable

from batchfim.workers.local import LocalPool
from batchfim.workers.pool import WorkerReady, WorkerSpec


def num_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_worker_that_is_gone_leaves_no_file_open(make_spec: Callable[..., WorkerSpec]) -> None:
    spec, after = make_spec(), []
    for _ in range(3):
        pool = LocalPool(spec)
        pool.add_worker("w")
        (event,) = pool.wait(60)
        assert isinstance(event, WorkerReady)
        pool.close()
        after.append(num_open_files())
    assert after[1] == after[2]  # the first opens what stays: libraries, say
