"""Confine this process, then run one program in it; `sandbox.py` starts it as a script.

It imports only the standard library and reads its orders as JSON from standard input. The first
process stays out of the program's reach; with namespaces, it is the first of its PID namespace and
all other processes there end with it. Flags and numbers are those of Linux (`linux/mount.h`,
`linux/prctl.h`, `linux/capability.h`).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
_READONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC = 1, 2, 4, 32, 4096, 16384
_DETACH = 2
_DEATH_SIGNAL, _NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3 = 0x20080522
# Folders that Python and its libraries are loaded from.
_SYSTEM = ("/usr", "/lib", "/lib64")
_ROOT = "/root-of-the-program"
_SCRATCH = "/tmp"  # noqa: S108 - in the program's own file system
_SAID_CHARACTERS = 200


def main() -> None:
    """Confine this process, write the token, run the program, and write how it ended."""
    orders = json.loads(sys.stdin.buffer.read())
    os.environ.clear()
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    try:
        if orders["namespaces"]:
            enter_box(orders["folder"], orders["scratch_bytes"])
        else:
            os.chdir(orders["folder"])
        child = os.fork()
        if child:
            watch(child, orders["timeout_s"])
        limit(orders)
        give_up_rights(orders["user"])
        if not orders["namespaces"]:
            sys.addaudithook(guard(os.getcwd()))
    except OSError as error:
        os.write(answer, f"unconfined: {error}".encode("utf8", "replace"))
        os._exit(1)
    token = orders["token"].encode()
    os.write(answer, token)
    said = outcome(orders["program"])[:_SAID_CHARACTERS]
    os.write(answer, token + said.encode("utf8", "replace"))
    os._exit(0)


def watch(child: int, timeout_s: float) -> NoReturn:
    """Wait for the program, and kill it if it outlives its time because the parent was killed."""

    def end(*_: object) -> None:
        os.kill(child, signal.SIGKILL)
        os._exit(1)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(int(timeout_s) + 5)
    os.waitpid(child, 0)
    os._exit(0)


def outcome(program: str) -> str:
    """Run the program: `passed`, or the error it raised; nothing if it ends the process."""
    try:
        # dont_inherit: this file's `annotations` import must not affect the program.
        code = compile(program, "program", "exec", dont_inherit=True)
        exec(code, {})  # noqa: S102 - not as `__main__`, like HumanEval-Infilling
    except BaseException as error:  # anything the program raises, SystemExit included
        return f"failed: {type(error).__name__}: {error}"
    return "passed"


def enter_box(folder: str, size_bytes: int) -> None:
    """Change to a root of a small in-memory file system and Python's files, mounted read-only.

    The root is below the namespace's own, because the kernel forbids creating further user
    namespaces from a changed root (`create_user_ns`); in one, a program could mount more memory.
    """
    forbid_system_v()
    small = f"size={size_bytes},nr_inodes=4096,mode=755"
    mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, small)
    root = folder + _ROOT
    os.mkdir(root)
    shown = [path for path in _SYSTEM if os.path.lexists(path)]
    if not any(os.path.commonpath([path, sys.base_prefix]) == path for path in shown):
        shown.append(sys.base_prefix)
    for path in shown:
        inside = root + path
        if os.path.islink(path):
            os.symlink(os.readlink(path), inside)
            continue
        os.makedirs(inside)
        mount(path, inside, "", _BIND | _REC)
        mount("", inside, "", _REMOUNT | _BIND | _READONLY | _NOSUID | _NODEV)
    os.mkdir(root + _SCRATCH)
    os.chmod(root + _SCRATCH, 0o777)  # noqa: S103 - likewise
    os.chdir(folder)
    checked(_LIBC.pivot_root(b".", b"."), "pivot_root")
    checked(_LIBC.umount2(b".", _DETACH), "umount")
    os.chroot(_ROOT)
    os.chdir(_SCRATCH)


def forbid_system_v() -> None:
    """Forbid System V shared memory, messages and semaphores, which process limits do not count."""
    for setting, none in {"shmmni": "0", "msgmni": "0", "sem": "0 0 0 0"}.items():
        # If the namespace's settings may not be changed, the machine's limits remain.
        with contextlib.suppress(OSError), open(f"/proc/sys/kernel/{setting}", "w") as file:
            file.write(none)


def limit(orders: dict[str, Any]) -> None:
    """Limit memory, CPU time, files and processes, as counted by the kernel."""
    seconds = int(orders["timeout_s"]) + 1
    limits = {
        resource.RLIMIT_AS: orders["memory_bytes"],
        resource.RLIMIT_CPU: seconds,
        # Without a file system of its own, a program may not write anything.
        resource.RLIMIT_FSIZE: orders["file_bytes"] if orders["namespaces"] else 0,
        resource.RLIMIT_NPROC: orders["processes"],
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def give_up_rights(user: int | None) -> None:
    """Become `user` (if not None) and drop every capability, irrevocably."""
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    checked(_LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    checked(_LIBC.capset(header, bytes(24)), "capset")
    # Last, since changing credentials clears it: the program dies with its watcher, even from its
    # own session.
    checked(_LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")


def guard(scratch: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook, used without namespaces, that refuses access to anything but the interpreter.

    It stops programs that do harm by mistake, not those that exploit CPython's internals.
    """
    own = (scratch, sys.base_prefix, sys.base_exec_prefix)
    readable = tuple(f"{os.path.realpath(path)}/" for path in own)
    looks = ("os.listdir", "os.scandir")
    refused = ("os.", "socket.", "subprocess.", "shutil.", "ctypes.", "signal.", "pty.", "sqlite3.")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def check(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" or event in looks:
            path = (
                os.path.realpath(os.fsdecode(args[0])) if isinstance(args[0], str | bytes) else ""
            )
            flags = args[2] if event == "open" and isinstance(args[2], int) else 0
            if not f"{path}/".startswith(readable) or flags & writing:
                raise PermissionError(f"{event} is not allowed here")
        elif event.startswith(refused):
            raise PermissionError(f"{event} is not allowed here")

    return check


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Call mount(2)."""
    texts = [text.encode() for text in (source, target, kind, data)]
    checked(_LIBC.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def checked(result: int, what: str) -> None:
    """Raise OSError if a C library call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
