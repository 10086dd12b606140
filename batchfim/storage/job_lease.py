"""The lease of the job: two runs never share an output.

Works on any store whose listings show what was written, without an atomic create. Each run writes
its own claim, then looks at the claims of other runs. A held claim wins at once; of two claims that
are not held yet, the one with the smaller name waits and the other gives way. A thread renews a
held claim, and its holder starts no commit once others may soon take the job. A claim is dead if it
was not renewed, by the store's own clock, for as long as it says, or if its process no longer runs
on this machine. A run on another machine may have been killed together with that machine, and its
job started again at once: such a claim is watched until it is renewed, which a live run does within
seconds, or is dead.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import psutil
from pyarrow import fs
from pydantic import Field, PositiveInt, TypeAdapter

from batchfim.errors import JobFailed, JobHeld, StorageError
from batchfim.storage.location import Location
from batchfim.storage.retries import retry_limit_s

_log = logging.getLogger(__name__)

LEASE_S = 180.0
_LONGEST_S = 86_400.0
_MARGIN_S = 20.0  # before others may take the job; also covers stores with whole-second times
_RENEW_S = 15.0
_POLL_S = 0.1
_WATCH_S = 1.0


@dataclass(frozen=True)
class Claim:
    """A run's claim to the job.

    `machine` is the booted system and its process table (containers may share a host name, but
    not these); `start_ticks` distinguishes a process from a later one with the same pid, and so
    does `started_s` if the system, or the version that wrote the claim, has no ticks; `renewal`
    counts how often the claim was written; `lease_s` is how long it holds after each renewal.
    """

    host: str
    machine: str
    pid: PositiveInt
    started_s: float
    held: bool
    lease_s: Annotated[float, Field(gt=0, le=_LONGEST_S)] = LEASE_S
    renewal: int = 0
    start_ticks: int | None = None

    @property
    def is_here(self) -> bool:
        """Whether its process is on this machine, so that it can be looked up."""
        return self.machine == _machine()

    @property
    def is_gone(self) -> bool:
        """Whether its process is known to have ended; never so for processes elsewhere."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            return self._is_another(process) or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _is_another(self, process: psutil.Process) -> bool:
        """Whether a process only has the pid of the one that claimed."""
        ticks = _start_ticks(self.pid)
        if ticks is not None and self.start_ticks is not None:
            return ticks != self.start_ticks
        return abs(float(process.create_time()) - self.started_s) > 1


_CLAIM = TypeAdapter(Claim)
_Renewed = tuple[int, datetime | None]  # how often, and when if the store reports times


@dataclass(frozen=True)
class Holder:
    """The holder of a job, and the age of its last renewal (None if the store reports no times)."""

    host: str
    pid: int
    renewed_s_ago: float | None


def find_holder(folder: Location) -> Holder | None:
    """The current holder of the job, found without writing anything.

    Ages are by this machine's clock, as the store's own clock is only visible by writing.
    """
    now = datetime.now(UTC)
    for info in folder.list():
        claim = _read_claim(folder, info) if info.path.endswith(".json") else None
        if claim is None or not claim.held or claim.is_gone:
            continue
        age_s = _age_s(now, info.mtime) if info.mtime else None
        if age_s is None or age_s <= claim.lease_s:
            return Holder(claim.host, claim.pid, age_s)
    return None


class JobLease:
    """Holds the job's lease within a `with` block."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder
        self._name = f"{uuid.uuid4().hex}.json"
        # Longer than failing storage is retried, so that the next renewal still has a chance.
        self._lease_s = min(max(LEASE_S, retry_limit_s() + 3 * _MARGIN_S), _LONGEST_S)
        self._renewal = 0
        self._lost = threading.Event()
        self._renewed_s = _now_s()
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    @property
    def lost(self) -> bool:
        """Whether the claim was removed or not renewed in time; the run must then stop committing.

        A lost lease stays lost: others may have the job by now, even if a late renewal succeeds.
        """
        if _now_s() - self._renewed_s > self._lease_s - _MARGIN_S:
            self._lost.set()
        return self._lost.is_set()

    def check(self) -> None:
        """Raise if the lease was lost; call before deleting what another run may have written.

        Raises:
            JobFailed: the lease was lost.
        """
        if self.lost:
            raise JobFailed(
                f"{self._folder.path}: this run lost the job's lease; another run may hold it"
            )

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            JobHeld: another run holds it; the message names its process and host.
        """
        with ExitStack() as undo:
            undo.callback(self._mine().delete)
            self._contest()
            self._write(held=True)
            if self.lost:
                raise JobHeld(
                    f"{self._folder.path}: the lease expired while being acquired (slow storage); "
                    "run again"
                )
            self._renewer.start()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._lost.set()  # stops threads that are still committing
        self._renewer.join()
        self._mine().delete()

    def _contest(self) -> None:
        """Claim the job until no rival is left, or give way to one that is alive."""
        seen: dict[str, tuple[_Renewed, float]] = {}  # others' claims, and how long unchanged
        self._write(held=False)
        while rivals := self._rivals():
            name, (rival, renewed) = min(rivals.items(), key=itemgetter(0))
            held_by = f"the job is held by process {rival.pid} on {rival.host}"
            if name not in seen and not rival.is_here:
                _log.warning("%s; waiting to see whether it is still running", held_by)
            before, since_s = seen.setdefault(name, (renewed, time.monotonic()))
            if rival.is_here or renewed != before:
                seen[name] = renewed, time.monotonic()
                if rival.held or self._name > name:
                    raise JobHeld(
                        f"{self._folder.path}: {held_by}; wait for it to finish, or choose another "
                        "output.path"
                    )
            elif time.monotonic() - since_s > rival.lease_s:
                (self._folder / name).delete()
            time.sleep(_POLL_S if rival.is_here else _WATCH_S)
            self._write(held=False)

    def _mine(self) -> Location:
        return self._folder / self._name

    def _write(self, *, held: bool) -> None:
        pid = os.getpid()
        self._renewal += 1
        claim = Claim(
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started_s=psutil.Process(pid).create_time(),
            held=held,
            lease_s=self._lease_s,
            renewal=self._renewal,
            start_ticks=_start_ticks(pid),
        )
        begun_s = _now_s()  # the store may have it long before it answers
        self._mine().write(_CLAIM.dump_json(claim))
        if not (held and self.lost):  # a late renewal does not count
            self._renewed_s = begun_s

    def _renew(self) -> None:
        """Renew until released; a claim that others removed in the meantime is lost for good."""
        try:
            while not self._released.wait(_RENEW_S) and not self.lost:
                self._renew_once()
        finally:
            if not self._released.is_set():
                self._lost.set()

    def _renew_once(self) -> None:
        try:
            if not self._mine().exists():
                self._lost.set()
            elif not self.lost:
                self._write(held=True)
        except StorageError as error:
            _log.warning("could not renew the job's lease: %s", error)

    def _rivals(self) -> dict[str, tuple[Claim, _Renewed]]:
        """Live claims of other runs by name, only held ones if any; dead claims are removed."""
        claims = [info for info in self._folder.list() if info.path.endswith(".json")]
        mine = [info.mtime for info in claims if info.base_name == self._name]
        now = mine[0] if mine else None
        rivals: dict[str, tuple[Claim, _Renewed]] = {}
        for info in claims:
            if info.base_name == self._name:
                continue
            claim = _read_claim(self._folder, info)
            if claim is None or claim.is_gone or _age_s(now, info.mtime) > claim.lease_s:
                Location(self._folder.filesystem, info.path).delete()
            else:
                rivals[info.base_name] = claim, (claim.renewal, info.mtime)
        held = {name: rival for name, rival in rivals.items() if rival[0].held}
        return held or rivals


def _read_claim(folder: Location, info: fs.FileInfo) -> Claim | None:
    location = Location(folder.filesystem, info.path)
    try:
        return _CLAIM.validate_json(location.read(), strict=True)
    except StorageError:
        if location.exists():  # an unreadable claim may be held
            raise
        return None  # released in the meantime
    except ValueError:  # not a claim
        return None


def _now_s() -> float:
    """Monotonic seconds, on a clock that includes suspension if there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _machine() -> str:
    """Identity of this booted system and its process table, or the host name if not available."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _start_ticks(pid: int) -> int | None:
    """When a process started, in ticks since the boot; None where the system does not tell.

    Its time of day is no use: it is the boot's plus these, and the boot's moves when the clock is
    set, so that a process seems to be another.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])  # its name, in brackets, may hold anything


def _age_s(now: datetime | None, then: datetime | None) -> float:
    """Seconds between two times, or 0 if the store reports none, as some of fsspec's."""
    return (now - then).total_seconds() if now and then else 0.0
