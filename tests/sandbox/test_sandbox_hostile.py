"""Programs that mean harm do none, and never pass."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from batchfim.sandbox import inside
from batchfim.sandbox.sandbox import OUT_OF_TIME, Sandbox

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)
"""
MANY_FILES = """
for number in range(100):
    with open(f"f{number}", "wb") as file:
        file.write(bytes(1 << 20))
"""
RUNAWAY = """
import os, time
os.setsid()
time.sleep(60)
"""
# System V's, which outlive who made them and count for no process: memory, messages, semaphores.
KEEPER = """
import ctypes
c = ctypes.CDLL(None, use_errno=True)
made = c.shmget(0, 1 << 20, 0o1600), c.msgget(0, 0o1600), c.semget(0, 1, 0o1600)
raise ValueError(made)
"""
KILLER = """
import os, signal
for process in (os.getppid(), 0, -1, 1):
    try:
        os.kill(process, signal.SIGKILL)
    except Exception:
        pass
"""
FORGER = """
import os
for number in range(64):
    try:
        os.write(number, b"passed" * 1000)
    except OSError:
        pass
os._exit(0)
"""


def left_behind() -> list[psutil.Process]:
    """Processes of any sandbox that do not end by themselves, as those do that were killed."""
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if inside.__file__ in (process.info["cmdline"] or [])
    ]
    return psutil.wait_procs(found, timeout=30)[1]


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(1000)"])
def test_what_never_ends_is_ended(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program) == OUT_OF_TIME
    assert left_behind() == []


def test_a_fork_bomb_ends_with_its_sandbox(sandbox: Sandbox) -> None:
    assert sandbox.run(FORK_BOMB) != "passed"
    assert left_behind() == []


def test_a_daemon_does_not_outlive_its_program(box: Sandbox) -> None:
    assert box.run(DAEMON) == "passed"
    assert left_behind() == []


def test_a_session_of_its_own_does_not_outlive_its_sandbox(sandbox: Sandbox) -> None:
    assert sandbox.run(RUNAWAY) == OUT_OF_TIME
    assert left_behind() == []


def test_a_program_does_not_outlive_who_started_it(sandbox: Sandbox) -> None:
    start = (
        f"from batchfim.sandbox.sandbox import *; {sandbox!r}.run('import time; time.sleep(999)')"
    )
    process = subprocess.Popen([sys.executable, "-c", start])
    while not psutil.Process(process.pid).children(recursive=True):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    process.kill()
    process.wait()
    assert left_behind() == []


def test_it_cannot_kill_what_is_not_its_own(sandbox: Sandbox) -> None:
    mine = psutil.Process().create_time()
    sandbox.run(KILLER)
    assert psutil.Process(os.getpid()).create_time() == mine
    assert sandbox.run("") == "passed"


def test_it_cannot_fill_the_disk(box: Sandbox) -> None:
    assert "No space left on device" in box.run(MANY_FILES)
    assert box.run("open('small', 'w').write('x')") == "passed"


def test_without_a_disk_of_its_own_it_writes_nothing(limits: Sandbox, tmp_path: Path) -> None:
    assert "PermissionError" in limits.run(MANY_FILES)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for harm in ("os.remove({})", "os.truncate({}, 0)", "open({}, 'w')", "os.chmod({}, 0)"):
        program = "import os; " + harm.format(repr(str(victim)))
        assert "PermissionError" in limits.run(program)
    assert victim.read_text() == "precious"


def test_it_reaches_no_network(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        assert sandbox.run(connect).startswith("failed: ")
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_it_sees_no_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    said = sandbox.run("import os; raise ValueError(dict(os.environ))")
    assert said == "failed: ValueError: {}"
    for environ in ("/proc/self/environ", f"/proc/{os.getpid()}/environ", "/proc/1/environ"):
        assert sandbox.run(f"open({environ!r}).read()").startswith("failed: ")


def test_it_reads_no_file_but_pythons(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("secret")
    assert sandbox.run(f"open({str(secret)!r})").startswith("failed: ")
    assert sandbox.run(f"open('/{'../' * 9}etc/passwd')").startswith("failed: ")


def test_it_cannot_change_pythons_files(box: Sandbox) -> None:
    victim = Path(os.path.realpath(sys.base_prefix), "lib", "x.py")
    assert "Read-only file system" in box.run(f"open({str(victim)!r}, 'w')")
    assert not victim.exists()


def test_it_has_no_rights_left(box: Sandbox) -> None:
    mount = "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
    mount += "raise ValueError(c.umount2(b'/', 2), ctypes.get_errno())"
    assert box.run(mount) == "failed: ValueError: (-1, 1)"


def test_it_gets_no_rights_in_a_namespace_of_its_own(box: Sandbox) -> None:
    unshare = "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
    unshare += "raise ValueError(c.unshare(0x10020000), ctypes.get_errno())"
    assert box.run(unshare) == "failed: ValueError: (-1, 1)"


def test_memory_is_limited(sandbox: Sandbox) -> None:
    assert sandbox.run("x = bytes(1 << 30)").startswith("failed: MemoryError")


def test_it_keeps_no_memory_beside_that_of_its_processes(box: Sandbox) -> None:
    assert box.run(KEEPER) == "failed: ValueError: (-1, -1, -1)"


@pytest.mark.parametrize("program", ["import os; os._exit(0)", "import sys; sys.exit(0)", FORGER])
def test_ending_the_process_is_not_passing(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program) != "passed"


def test_a_program_that_prints_without_end_is_ended(sandbox: Sandbox) -> None:
    assert sandbox.run("while True: print('x' * 1000)") == OUT_OF_TIME
