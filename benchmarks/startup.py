"""Measure the time from the command to the first record: `python -m benchmarks.startup`.

`batchfim run` on 16 records, one per shard, until its first part is visible: on the local pool, on
its own Ray, and on a Ray that runs already, as for a Ray job. It takes turns with a Python process
that only starts `LLM` with the same engine arguments and completes one prompt. The difference is
what batchfim adds to the engine's own start. vLLM's compiled code is in its cache before the first
round. Engine starts vary by seconds, so the time that a job took outside of its own engine's start
is reported as well. A job of two workers on Ray reports how long its engines take, which start at
the same time: if neither waits for the other, the second worker's engine takes about as long as the
first's, a little more or less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.house_side import house_config
from benchmarks.measuring import at_most, keep, machine
from benchmarks.records import encode, unshared, write
from benchmarks.setups import demo_encoder, demo_setup
from benchmarks.sides import Setup, engine_environment

LIMIT_S = 3.0
_POOLS = ("local", "ray", "running_ray")
_RECORDS = 16
_RECORDS_FOR_TWO = 1200  # enough that the first engine is still busy when the second is up
_LOOK_S = 0.02
_RAY_PORT = 26399  # outside the ports that Ray gives to its workers
_REST_S = 20.0  # Ray's agents and first idle workers are up by then
_BARE = """
import json, sys
from pathlib import Path
from benchmarks.bare_side import BareSide
from benchmarks.sides import Setup

if __name__ == "__main__":
    path, *fields = json.loads(sys.argv[1])
    side = BareSide(Setup(fields[0], Path(), tuple(fields[1]), args=fields[2]))
    side.work(Path(path))
    print("first record", flush=True)
    side.close()
"""


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pools", nargs="+", choices=_POOLS, default=list(_POOLS))
    options = parser.parse_args()
    started = machine()
    with tempfile.TemporaryDirectory() as name:
        setup = demo_setup(Path(name))
        records = unshared(_RECORDS, seed=0)
        prompts = encode(records, demo_encoder())
        many = write(setup.folder / "many.parquet", records, prompts)
        more = unshared(_RECORDS_FOR_TWO, seed=1)
        longer = write(setup.folder / "longer.parquet", more, encode(more, demo_encoder()))
        one = write(setup.folder / "one.parquet", records[:1], prompts[:1])
        _bare_s(setup, one)
        seconds: dict[str, list[float]] = {who: [] for who in ("engine", *options.pools)}
        outside: dict[str, list[float]] = {pool: [] for pool in options.pools}
        for number in range(options.rounds):
            seconds["engine"].append(_bare_s(setup, one))
            for pool in options.pools:
                output = setup.folder / f"{pool}-{number}"
                seconds[pool].append(_house_s(setup, many, output, pool))
                outside[pool].append(seconds[pool][-1] - _engine_starts_s(output)[0])
        both = [_two_starts_s(setup, longer, number) for number in range(options.rounds)]
    medians = {who: statistics.median(took) for who, took in seconds.items()}
    result = {
        "seconds_beyond_the_engine": {
            pool: at_most(LIMIT_S, medians[pool] - medians["engine"]) for pool in options.pools
        },
        "seconds_outside_the_engines_start": {
            pool: round(statistics.median(took), 2) for pool, took in outside.items()
        },
        "second_engine_over_first": at_most(1.0, statistics.median(b / a for a, b in both)),
        "starts_of_two_s": [[round(start_s, 2) for start_s in starts] for starts in both],
        "seconds_to_first_record": {k: [round(s, 2) for s in v] for k, v in seconds.items()},
        "model": "demo",
        "engine_args": setup.args,
        "not_measured": "a first start without vLLM's compile cache; a GPU",
    }
    keep("startup", result, started=started)


def _bare_s(setup: Setup, path: Path) -> float:
    script = setup.folder / "bare.py"
    script.write_text(_BARE, encoding="utf8")
    fields = [str(path), setup.model, setup.stop_token_ids, setup.args]
    started_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(script), json.dumps(fields)],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("first record"):
                return time.monotonic() - started_s
    raise RuntimeError("the bare engine ended without a record")


def _house_s(setup: Setup, path: Path, output: Path, pool: str) -> float:
    runs = pool == "running_ray"
    job = _job(setup, path, output, {"pool": "ray" if runs else pool, "shard_rows": 1})
    if not runs:
        return _first_part_s(job, output, {})
    with _running_ray() as address:
        return _first_part_s(job, output, address)


def _first_part_s(job: Path, output: Path, address: dict[str, str]) -> float:
    started_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "batchfim", "run", str(job)],
        stdout=subprocess.DEVNULL,
        env=_environment() | address,
    ) as process:
        while not any(output.glob("part-*.parquet")):
            if process.poll() is not None:
                raise RuntimeError(f"batchfim ended with {process.returncode} and no record")
            time.sleep(_LOOK_S)
        took_s = time.monotonic() - started_s
    return took_s


@contextmanager
def _running_ray() -> Iterator[dict[str, str]]:
    """Start a Ray of one node; once it is idle, yield the environment that points jobs to it."""
    open_to_all = {"RAY_AUTH_MODE": "disabled"}  # regardless of any token of this user
    ray = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command = [*ray, "--include-dashboard=false", f"--port={_RAY_PORT}"]
    environment = _environment() | open_to_all
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        time.sleep(_REST_S)
        try:
            yield open_to_all | {"RAY_ADDRESS": f"127.0.0.1:{_RAY_PORT}"}
        finally:
            process.terminate()


def _two_starts_s(setup: Setup, path: Path, number: int) -> list[float]:
    """Start times of a job's two engines, the first worker's first."""
    output = setup.folder / f"two-{number}"
    schedule = {"pool": "ray", "shard_rows": 32, "workers": {"min": 2, "max": 2}}
    command = [sys.executable, "-m", "batchfim", "run", str(_job(setup, path, output, schedule))]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=_environment(), check=True)
    return _engine_starts_s(output)


def _engine_starts_s(output: Path) -> list[float]:
    """Start times of a job's engines as measured by their workers, the first worker's first."""
    (run,) = json.loads((output / "_batchfim" / "summary.json").read_text(encoding="utf8"))["runs"]
    engines = sorted(run["engines"], key=lambda engine: str(engine["worker"]))
    return [engine["start_s"] for engine in engines]


def _job(setup: Setup, path: Path, output: Path, schedule: dict[str, Any]) -> Path:
    config = house_config(setup, path, output).model_dump(mode="json", exclude_unset=True)
    job = setup.folder / "job.yaml"
    job.write_text(json.dumps(config | {"schedule": schedule}), encoding="utf8")  # JSON is YAML
    return job


def _environment() -> dict[str, Any]:
    alike = engine_environment() | {"VLLM_LOGGING_LEVEL": "ERROR"}
    return {**os.environ, **alike, "PYTHONPATH": os.pathsep.join(sys.path)}


if __name__ == "__main__":
    main()
