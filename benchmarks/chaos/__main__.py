"""Random kills throughout a whole job: `make chaos`, or `python -m benchmarks.chaos`.

Real processes are killed with SIGKILL or stopped with SIGSTOP: the driver, the actors, vLLM's
engine cores. With the target `storage`, the job is on an S3 server, and bursts of its requests are
refused, dropped or cut. The job is restarted until it is complete. Then every input row is compared
with the output, and `batchfim verify` must agree. The seed determines what is hit and after how
many finished parts.

Repeated work is counted in whole shards: for each hit, the shards that the driver last reported as
leased, or one worker's share of them if only that worker was hit. So the count is never too low,
except for the fraction of a second since the driver's report. Finished shards must never be
processed again, which their checksums would show.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.accounts import account, read_parts
from benchmarks.chaos.battle import Battle
from benchmarks.chaos.ground import Ground, local_ground, s3_ground
from benchmarks.chaos.kills import WEIGHTS, draw_kills
from benchmarks.chaos.redone import Redone
from benchmarks.measuring import keep, machine

SHARD_ROWS, IN_HAND, WORKERS = 10, 2, 2
_PARTS_AFTER = 10  # parts after the last kill
_COMMON = (
    f"schedule.shard_rows={SHARD_ROWS}",
    f"schedule.shards_in_hand={IN_HAND}",
    "metrics.progress=lines",
    "metrics.progress_interval_s=0.01",  # at every iteration of the driver's loop
)
_SETS = {
    # About half a second per shard, so that most kills happen in the middle of one.
    "simulated": (
        "engine.backend=simulated",
        "engine.simulated.decode_tokens_per_s=40",
        "engine.simulated.max_num_seqs=8",
        f"schedule.workers={WORKERS}",
        "schedule.stall_timeout_s=8",
        "schedule.start_timeout_s=60",
        "schedule.no_worker_timeout_s=120",
    ),
    "vllm": (
        "engine.backend=vllm",
        "engine.args.enforce_eager=true",
        "engine.args.max_num_seqs=1",
    ),
}
_TARGETS = {
    "simulated": ("driver", "actor", "hang", "storage"),
    "vllm": ("driver", "actor", "engine"),
}


def main() -> None:
    """Run the job with kills, check it, keep the result; exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=_SETS, default="simulated")
    parser.add_argument("--targets", nargs="+", choices=WEIGHTS, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="folder for the job")
    parser.add_argument("--no-result", action="store_true", help="only print the result")
    options = parser.parse_args()
    targets = options.targets or _TARGETS[options.engine]
    started = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = fight(Path(folder), options.engine, options.kills, options.seed, targets)
    if options.no_result:
        print(json.dumps(result, indent=1))
    else:
        name = "chaos" if options.engine == "simulated" else f"chaos_{options.engine}"
        keep(name, result, started=started)
    sys.exit(0 if result["holds"] else 1)


def fight(
    folder: Path, engine: str, number: int, seed: int, targets: Sequence[str]
) -> dict[str, Any]:
    """Run one job with `number` kills and return its result."""
    kills = draw_kills(seed, number, targets)
    num_rows = (kills[-1].at_parts + _PARTS_AFTER) * SHARD_ROWS
    with _ground(folder, num_rows, seed, targets) as ground:
        cost = Redone(IN_HAND, 1 if engine == "vllm" else WORKERS)
        battle = Battle(ground, [*_COMMON, *_SETS[engine]], deque(kills), cost)
        started_s = time.monotonic()
        battle.fight()
        ground.heal_storage()
        return _result(battle, engine, seed) | {"seconds": round(time.monotonic() - started_s)}


def _ground(
    folder: Path, num_rows: int, seed: int, targets: Sequence[str]
) -> AbstractContextManager[Ground]:
    if "storage" in targets:
        return s3_ground(folder, num_rows, seed)
    return local_ground(folder, num_rows)


def _result(battle: Battle, engine: str, seed: int) -> dict[str, Any]:
    ground = battle.ground
    parts = read_parts(ground.seen)
    accounts = account(ground.records, parts)
    verified = _verify(ground)
    sound = accounts.sound and not battle.finished_redone and not battle.tracebacks
    return {
        "engine": engine,
        "seed": seed,
        "kills": dict(sorted(battle.hit.items())),
        "kills_not_made": len(battle.kills),
        **asdict(accounts),
        "finished_shards_redone": battle.finished_redone,
        "redone": battle.redone.summary(len(parts)),
        "starts": battle.ends.total(),
        "ends": dict(battle.ends),
        "errors": battle.errors,
        "tracebacks": battle.tracebacks,
        "verify": verified,
        "processes_left_behind": battle.victims.left_behind(),
        "limit": "nothing lost, doubled, changed, misplaced; no finished shard redone",
        "holds": sound and verified == 0 and not battle.kills,
    }


def _verify(ground: Ground) -> int:
    command = [sys.executable, "-m", "batchfim", "verify", ground.output]
    done = subprocess.run(command, env=os.environ | ground.environment, check=False)
    return done.returncode


if __name__ == "__main__":
    main()
