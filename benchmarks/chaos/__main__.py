"""Kills at random over a whole job: `make chaos`, or `python -m benchmarks.chaos`.

Real processes, killed with SIGKILL or stopped with SIGSTOP: the driver, the actors, vLLM's engine
cores; with the target `storage` the job lies on an S3 server, and bursts of its requests are
refused, dropped or cut. The job is started again until it is complete. Then every input row is
held against the output, and `batchfim verify` must agree. The seed decides what is hit and after
how many finished parts.

Work redone is counted in whole shards: for each hit, what its driver had last said to be leased, or
the hands of one worker where only that was hit. So it is never too low, but for the part of a
second since the driver spoke. Finished shards must never be worked again: their checksums tell.
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
_PARTS_AFTER = 10  # the last kill
_COMMON = (
    f"schedule.shard_rows={SHARD_ROWS}",
    f"schedule.shards_in_hand={IN_HAND}",
    "metrics.progress=lines",
    "metrics.progress_interval_s=0.01",  # at every turn of the driver
)
_SETS = {
    # About half a second a shard, so that most kills fall into its middle.
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
    """Fight, account, keep the result; exit code 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=_SETS, default="simulated")
    parser.add_argument("--targets", nargs="+", choices=WEIGHTS, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="where the job is kept")
    parser.add_argument("--no-result", action="store_true", help="print it only")
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
    """One job, `number` kills; its accounts."""
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
