"""Measure the driver with up to 1,000 workers and a million shards: `python -m benchmarks.scaling`.

Driver, queue, worker set and budgets are the real ones; workers and storage are modeled on a
virtual clock. A shard is 100 records with heavy-tailed work (log-normal, sigma 1.5), one worker in
twenty runs at a third of the speed, and workers die at random, half of them with their machine;
another replaces them after an engine start. The ideal is one engine start, then all workers busy to
the end, with none ever lost, at the mean speed of the workers there were.
Not measured: storage (see `benchmarks.ledger`), Ray's own calls, and the engines.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import time
from typing import Any

import numpy as np

from batchfim.config import Metrics, Schedule
from batchfim.driver.driver import Driver
from batchfim.driver.progress import Progress
from batchfim.driver.queue import ShardQueue
from batchfim.shards import Shard
from benchmarks.measuring import at_most, keep, machine
from benchmarks.virtual_pool import VirtualPool

MAKESPAN_LIMIT, DECISION_LIMIT_US, MEMORY_LIMIT_MB = 1.03, 50.0, 1000
_MEAN_S = 60.0  # mean time of a shard on a worker of full speed
_START_S = 60.0
_RECORDS, _SIGMA = 100, 1.5
_SLOW_SHARE, _SLOW_SPEED = 0.05, 1 / 3


def main() -> None:
    """Run the series and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1000])
    parser.add_argument("--shards-per-worker", type=int, default=1000)
    parser.add_argument("--mean-life-s", type=float, default=4 * 3600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("batchfim").setLevel(logging.ERROR)  # lost workers are expected here
    started, rows = machine(), []
    for workers in options.workers:
        num_shards = workers * options.shards_per_worker
        rows.append(_simulate(workers, num_shards, options.mean_life_s, options.seed))
        print(json.dumps(rows[-1]))
    largest = rows[-1]
    result = {
        "makespan": at_most(MAKESPAN_LIMIT, largest["makespan_ratio"]),
        "driver_cpu_us_per_shard": at_most(DECISION_LIMIT_US, largest["driver_cpu_us_per_shard"]),
        "peak_memory_mb": at_most(MEMORY_LIMIT_MB, largest["peak_memory_mb"]),
        "runs": rows,
        "mean_shard_s": _MEAN_S,
        "mean_worker_life_s": options.mean_life_s,
        "slow_workers": f"{_SLOW_SHARE:.0%} at {_SLOW_SPEED:.2f} of the speed",
        "seed": options.seed,
        "not_measured": "storage, Ray's calls, engines",
    }
    keep("scaling", result, started=started)


def _simulate(num_workers: int, num_shards: int, mean_life_s: float, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    shards = [Shard(f"{i:020x}", "f", "c", "/a.parquet", i * 100, 100) for i in range(num_shards)]
    pool = VirtualPool(
        _work_s(num_shards, seed),
        rng,
        start_s=_START_S,
        mean_life_s=mean_life_s,
        slow_share=_SLOW_SHARE,
        slow_speed=_SLOW_SPEED,
    )
    schedule = Schedule(workers=num_workers)
    queue = ShardQueue(shards, schedule.task_attempts, schedule.node_losses, rerun=True)
    progress = Progress(Metrics(progress="none"), num_shards * 100)
    driver = Driver(
        run_id="run",
        pool=pool,
        queue=queue,
        commit=lambda _report: None,
        split=lambda _parent, _children: None,
        fingerprint="fingerprint",
        schedule=schedule,
        watchers=[progress],
        stop_grace_s=lambda: None,
        may_commit=lambda: True,
        clock=lambda: pool.now_s,
    )
    started_s = time.process_time()
    entry = driver.run()
    driver_s = time.process_time() - started_s - pool.own_cpu_s
    pool.close()
    ideal_s = _START_S + _MEAN_S * num_shards / (num_workers * pool.mean_speed)
    return {
        "workers": num_workers,
        "shards": entry.shards,
        "workers_lost": entry.workers_lost,
        "shards_worked_twice": pool.num_submitted - entry.shards,
        "makespan_ratio": round((entry.engine_start_s + entry.run_s) / ideal_s, 4),
        "driver_cpu_us_per_shard": round(driver_s / num_shards * 1e6, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
    }


def _work_s(num_shards: int, seed: int) -> list[float]:
    """Seconds that a worker of full speed takes for each shard, summed over its records."""
    draws = np.random.default_rng(seed)
    chunks = [min(10_000, num_shards - start) for start in range(0, num_shards, 10_000)]
    sums = [draws.lognormal(0, _SIGMA, (chunk, _RECORDS)).sum(axis=1) for chunk in chunks]
    work = np.concatenate(sums)
    return list((work * (_MEAN_S / work.mean())).tolist())


if __name__ == "__main__":
    main()
