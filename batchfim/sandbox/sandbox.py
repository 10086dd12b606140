"""Run programs one by one, each in its own processes, which end with it.

If the kernel permits (Linux, and a container that allows namespaces), a program sees an in-memory
file system, Python's files, no network, and no processes but its own. Otherwise there are only
limits and a guard inside Python. It has no environment variables, and only the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from batchfim.errors import JobFailed

Confinement = Literal["namespaces", "limits"]
OUT_OF_TIME = "out of time"
PASSED = "passed"

_INSIDE = Path(__file__).with_name("inside.py")
_NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
_AS_ROOT_OF_ITS_OWN = ("--user", "--map-root-user")
# The range of systemd's DynamicUser: users that own nothing.
_FIRST_USER, _NUM_USERS = 61184, 4336
_TRIAL = "import math, random"  # needs Python's files to be readable
_ANSWER_BYTES = 4096
_START_S = 120.0  # generous, for a busy machine


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of one program."""

    timeout_s: float = 10.0
    memory_bytes: int = 1 << 30  # per process
    scratch_bytes: int = 64 << 20
    file_bytes: int = 8 << 20  # per file, in-memory files included; a process may have 32
    processes: int = 16


@dataclass(slots=True)
class Sandbox:
    """Runs programs; safe to call from several threads."""

    limits: Limits = field(default_factory=Limits)
    confinement: Confinement = "namespaces"
    changes_user: bool = False  # if root: run as one of many users that own nothing

    @classmethod
    def strongest(cls, limits: Limits) -> Sandbox:
        """The strongest sandbox that works here, at best with namespaces and as another user.

        Raises:
            JobFailed: none works.
        """
        users = (True, False) if os.geteuid() == 0 else (False,)
        for confinement in get_args(Confinement):
            for changes_user in users:
                found = cls(limits, confinement, changes_user)
                if found._works():
                    return found
        raise JobFailed("programs cannot be confined on this system; run them on Linux")

    def _works(self) -> bool:
        try:
            return self.run(_TRIAL) == PASSED
        except JobFailed:
            return False

    def run(self, program: str) -> str:
        """Run a Python program and return how it ended.

        Returns:
            `passed`, `failed: ...`, `out of time` or `ended without an answer` (it was killed, or
            ended its own process).

        Raises:
            JobFailed: it could not be confined and was not run.
        """
        token = secrets.token_hex().encode()
        with tempfile.TemporaryDirectory(prefix="batchfim-") as folder:
            os.chmod(folder, 0o755)  # noqa: S103 - empty, and the program may run as another user
            process = subprocess.Popen(  # noqa: S603
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONHASHSEED": "0"},  # cleared before the program runs
                cwd="/",
                start_new_session=True,
            )
            try:
                _order(process, self._orders(program, folder, token.decode(), process.pid))
                started = _read(process, len(token), _START_S)
                if started != token:
                    raise JobFailed(f"a program could not be confined and was not run: {started!r}")
                answer = _read(process, _ANSWER_BYTES, self.limits.timeout_s)
            finally:
                _kill(process)
        return _outcome(answer, token)

    def _command(self) -> list[str]:
        python = os.path.realpath(sys.executable)
        inside = [python, "-s", "-S", "-P", "-B", str(_INSIDE)]
        if self.confinement == "limits":
            return inside
        unshare = shutil.which("unshare")
        if unshare is None:
            raise JobFailed("command unshare not found; install util-linux")
        user = () if self.changes_user else _AS_ROOT_OF_ITS_OWN
        return [unshare, *_NAMESPACES, *user, "--", *inside]

    def _orders(self, program: str, folder: str, token: str, pid: int) -> bytes:
        """Input for `inside.py`; root becomes one of many users, which share no limits."""
        orders = {
            "program": program,
            "folder": folder,
            "token": token,
            "namespaces": self.confinement == "namespaces",
            "user": _FIRST_USER + pid % _NUM_USERS if self.changes_user else None,
            "timeout_s": self.limits.timeout_s,
            "memory_bytes": self.limits.memory_bytes,
            "scratch_bytes": self.limits.scratch_bytes,
            "file_bytes": self.limits.file_bytes,
            "processes": self.limits.processes,
        }
        return json.dumps(orders).encode()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the first process, and thereby all others, by the process group started for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _order(process: subprocess.Popen[bytes], orders: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended at once; its output says why
        process.stdin.write(orders)
        process.stdin.close()


def _read(process: subprocess.Popen[bytes], at_most: int, timeout_s: float) -> bytes | None:
    """Output of the process until it ends or reaches `at_most` bytes; None if time runs out."""
    assert process.stdout is not None
    deadline, said = time.monotonic() + timeout_s, b""
    poller = select.poll()  # unlike select, for a process with any number of open files
    poller.register(process.stdout, select.POLLIN)
    while len(said) < at_most:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poller.poll(left_s * 1000):
            return None
        more = os.read(process.stdout.fileno(), at_most - len(said))
        if not more:
            break
        said += more
    return said


def _outcome(answer: bytes | None, token: bytes) -> str:
    if answer is None:
        return OUT_OF_TIME
    if not answer.startswith(token):
        return "ended without an answer"
    return answer.removeprefix(token).decode("utf8", "replace")
