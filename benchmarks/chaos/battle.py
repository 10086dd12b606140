"""The loop that starts the job, hits it and restarts it until it is complete."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc

from benchmarks.chaos.ground import Ground
from benchmarks.chaos.kills import Kill
from benchmarks.chaos.redone import Redone
from benchmarks.chaos.victims import Victims

_LOOK_S = 0.05
_STANDSTILL_S = 300.0
_FAILED_ROWS, _KILLED = 3, -9
_MOST_ENDS_WITHOUT_PROGRESS = 10


@dataclass
class Battle:
    """A job under attack.

    Attributes:
        sets: the job's settings, except its paths.
        kills: kills still to come.
        redone: the work that kills cost.
        ends: number of ends by kind: `killed`, or the exit code.
        errors: last lines of runs that ended by themselves without completing the job.
        tracebacks: ends by an unexpected exception.
        finished_redone: shards processed again although an earlier run had finished them.
    """

    ground: Ground
    sets: Sequence[str]
    kills: deque[Kill]
    redone: Redone
    hit: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    tracebacks: int = 0
    finished_redone: int = 0
    victims: Victims = field(default_factory=Victims)
    _finished: dict[str, str] = field(default_factory=dict)

    def fight(self) -> None:
        """Run until the job is complete.

        Raises:
            RuntimeError: it makes no progress any more.
        """
        command, idle_ends = self._run_command(), 0
        while True:
            before = self.ground.num_parts(), len(self.kills)
            code, said = self._start(command)
            self.ends["killed" if code == _KILLED else str(code)] += 1
            self._look_at_finished()
            self._tell(code)
            if code == 0:
                return
            if code == _FAILED_ROWS:
                self.ground.heal_storage()
                command = ["retry", self.ground.output]
            elif code != _KILLED:
                self.errors.append(_last_line(said))
                self.tracebacks += "Traceback" in said
                now = self.ground.num_parts(), len(self.kills)
                idle_ends = idle_ends + 1 if now == before else 0
            if idle_ends > _MOST_ENDS_WITHOUT_PROGRESS:
                raise RuntimeError(f"the job makes no progress: {self.errors[-1]}")

    def _tell(self, code: int) -> None:
        """Print a line of progress."""
        counts = f"{self.hit.total()} kills made, {len(self.kills)} to come"
        print(f"{counts}; {self.ground.num_parts()} parts; exit {code}", file=sys.stderr)

    def _run_command(self) -> list[str]:
        places = ["--input", self.ground.input, "--output", self.ground.output]
        return ["run", *places, "--model", "demo", *(w for s in self.sets for w in ("--set", s))]

    def _start(self, arguments: Iterable[str]) -> tuple[int, str]:
        """Run one process of the job and return its exit code and standard error."""
        with tempfile.NamedTemporaryFile("w+") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "batchfim", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=said,
                text=True,
                env=os.environ | self.ground.environment,
                start_new_session=True,
            )
            try:
                self._disturb(process, Path(said.name))
            finally:
                process.kill()
                process.wait()
            self.victims.wake()
            said.seek(0)
            return process.returncode, said.read()

    def _disturb(self, process: subprocess.Popen[str], said: Path) -> None:
        parts, moved_s = -1, time.monotonic()
        while process.poll() is None:
            seen = self.ground.num_parts()
            if seen != parts:
                parts, moved_s = seen, time.monotonic()
            if self.kills and parts >= self.kills[0].at_parts:
                self._strike(process, self.kills[0], said)
            if time.monotonic() - moved_s > _STANDSTILL_S:
                raise RuntimeError(f"no new part for {_STANDSTILL_S:.0f} s")
            time.sleep(_LOOK_S)

    def _strike(self, process: subprocess.Popen[str], kill: Kill, said: Path) -> None:
        """Carry out a kill, or wait if its victim does not exist yet."""
        if kill.target == "storage":
            assert self.ground.fail_storage is not None
            self.ground.fail_storage(kill)
        else:
            if not self.victims.has(process, kill.target):
                return
            time.sleep(kill.delay_s)
            if not self.victims.hit(process, kill):
                return
        self.hit[kill.target] += 1
        self.redone.hit(kill.target, said.read_text())
        self.kills.popleft()
        if kill.target == "driver":
            process.wait()

    def _look_at_finished(self) -> None:
        """Count finished shards whose checksum changed; it covers timings, so repeated work shows.

        Shards with failed rows are ignored, since `retry` is meant to process them again.
        """
        done = self.ground.ledger.done().table
        well = done.filter(pc.equal(done["failed"], 0))
        now = dict(zip(well["shard_id"].to_pylist(), well["checksum"].to_pylist(), strict=True))
        gone = [shard for shard, text in self._finished.items() if now.get(shard) != text]
        self.finished_redone += len(gone)
        self._finished = now


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else "no output"
