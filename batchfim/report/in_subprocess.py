"""Make a report in its own process, so that any error there is one log line here."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import batchfim
from batchfim.signals import exit_signals
from batchfim.terminal import busy

_log = logging.getLogger(__name__)
_LIMIT_S = 900.0


def report_in_subprocess(output: str) -> None:
    """Make the report of the job at an absolute path or URL, or log why there is none.

    The job is already accounted for by then: no error in the report, nor its memory, nor a signal
    that ends it can affect that.
    """
    # -P: do not import from the current folder, which may hold a yaml.py or queue.py.
    problem = _problem([sys.executable, "-P", "-m", "batchfim", "report", output])
    if problem:
        _log.warning(
            "the report was not made (%s); make it with: batchfim report %s", problem, output
        )


def _problem(command: list[str]) -> str | None:
    """Why the command failed; None if it succeeded."""
    try:
        with exit_signals(), busy("making the report"):
            done = subprocess.run(  # noqa: S603
                command,
                env=_with_this_batchfim(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                timeout=_LIMIT_S,
            )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_LIMIT_S:.0f} s"
    except OSError as error:
        return f"its process did not start: {error}"
    except SystemExit:
        return "it was ended by a signal"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf8", "replace").strip().splitlines()
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return lines[-1].removeprefix("error: ") if lines else f"its process ended by {ended}"


def _with_this_batchfim() -> dict[str, str]:
    """This process's environment, extended so that Python finds the batchfim imported here."""
    paths = [str(Path(batchfim.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
