"""Measure idle workers at a job's end: `python -m benchmarks.tail`.

A real job, with driver and local pool, runs on the simulated engine: prompts have heavy-tailed
lengths (Pareto, shape 1.5), and the engine sleeps during prefill. A worker is idle from its last
part to the job's last part; the result is the share of all workers' time that this takes. This
figure alone has no limit: the limit for the makespan is in `scaling`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from batchfim.api import run_job
from batchfim.config.files import load_config
from batchfim.storage.ledger import Ledger
from benchmarks.measuring import keep, machine
from benchmarks.records import Text, write

_CHARACTERS = 200  # length of the shortest prefix
_LONGEST = 6_000


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = machine()
    rng = random.Random(options.seed)
    sizes = [
        min(_LONGEST, int(_CHARACTERS * rng.paretovariate(1.5))) for _ in range(options.records)
    ]
    with tempfile.TemporaryDirectory() as folder:
        records = [Text("x = 1\n" * (size // 6), "\n") for size in sizes]
        path = write(Path(folder) / "records.parquet", records, [[] for _ in records])
        figures = _run(path, Path(folder) / "out", options.workers)
    result = figures | {
        "records": options.records,
        "workers": options.workers,
        "seed": options.seed,
        "not_measured": "real engines; stragglers and failures",
    }
    keep("tail", result, started=started)


def _run(path: Path, output: Path, workers: int) -> dict[str, Any]:
    settings = {
        "input.paths": [str(path)],
        "output.path": str(output),
        "model.path": "demo",
        "engine.backend": "simulated",
        "engine.simulated.max_num_seqs": 4,
        "engine.simulated.prefill_tokens_per_s": 2_000,
        "engine.simulated.decode_tokens_per_s": 1_000,
        "schedule.pool": "local",
        "schedule.workers": workers,
        "metrics.progress": "none",
    }
    (run,) = run_job(load_config(None, settings)).summary["runs"]
    ledger = Ledger.at(str(output))
    last_s: dict[str, float] = defaultdict(float)
    for shard in ledger.shards().to_pylist():
        written_s = Path(ledger.part(shard["shard_id"]).path).stat().st_mtime
        last_s[shard["worker"]] = max(last_s[shard["worker"]], written_s)
    idle_s = sum(max(last_s.values()) - ended_s for ended_s in last_s.values())
    return {
        "share_of_worker_time_idle_at_the_end": round(idle_s / (workers * run["run_s"]), 4),
        "longest_wait_s": round(max(last_s.values()) - min(last_s.values()), 2),
        "run_s": round(run["run_s"], 2),
        "shards": run["shards"],
        "workers_that_worked": len(last_s),
    }


if __name__ == "__main__":
    main()
