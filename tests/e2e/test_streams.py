"""Terminals that are not there: the work goes on, whoever reads along."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import LOCAL, command

SHOWN = ("--set", "metrics.progress=lines", "--set", "metrics.progress_interval_s=0.01")


@pytest.mark.parametrize(
    "streams",
    ["2>/dev/full", "2> >(true)", "<&-", "2>&-", "<&- >&- 2>&-"],
    ids=["full disk", "gone reader", "no input", "no errors", "none"],
)
def test_a_run_ends_well_whatever_its_streams_are(
    records: Path, tmp_path: Path, streams: str
) -> None:
    run = command("run", "--input", records, "--output", tmp_path / "out", "--model", "demo")
    line = f"{shlex.join([*run, *LOCAL, *SHOWN])} {streams}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "_batchfim" / "_SUCCESS").exists()


def test_what_a_terminal_cannot_spell_is_escaped(tmp_path: Path) -> None:
    output = tmp_path / "ünï→😀"
    line = f"PYTHONIOENCODING=latin1 {shlex.join(command('status', output))}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (2, False)
    assert rb"\u2192" in ended.stderr
