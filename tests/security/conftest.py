"""The command line, as a process."""

from __future__ import annotations

import subprocess

from tests.e2e.conftest import command


def batchfim(*args: object) -> subprocess.CompletedProcess[str]:
    """Run `batchfim ARGS` to its end."""
    return subprocess.run(command(*args), capture_output=True, text=True, check=False)
